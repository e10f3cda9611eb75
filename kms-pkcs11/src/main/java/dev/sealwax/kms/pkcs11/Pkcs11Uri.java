package dev.sealwax.kms.pkcs11;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The part of a PKCS#11 URI (RFC 7512) that names a token and a key. Immutable.
 *
 * <p>Strict: what would be ignored is refused, because a URI that matches more than it says could
 * pick another key. PIN attributes are refused too: URIs end up in logs. No message shows the text
 * that was refused, only the name of the attribute.
 */
final class Pkcs11Uri {
  /** The scheme, and with it that of every root key id of this provider. */
  static final String SCHEME = "pkcs11";

  static final int MAX_LENGTH = 1024;
  static final int MAX_ID_BYTES = 32;
  static final int MAX_LABEL_BYTES = 64;

  private static final Set<String> TOKEN_ATTRIBUTES =
      Set.of("token", "serial", "manufacturer", "model");
  private static final Set<String> OTHER_PATH_ATTRIBUTES =
      Set.of(
          "type",
          "library-manufacturer",
          "library-version",
          "library-description",
          "slot-description",
          "slot-manufacturer",
          "slot-id");
  private static final String UNRESERVED = "-._~";
  private static final String PATH_EXTRA = ":[]@!$'()*+,=&";
  private static final String QUERY_EXTRA = ":[]@!$'()*+,=/?|";

  private final Map<String, String> token;
  private final @Nullable String object;
  private final byte @Nullable [] id;

  private Pkcs11Uri(Map<String, String> token, @Nullable String object, byte @Nullable [] id) {
    this.token = token;
    this.object = object;
    this.id = id;
  }

  /**
   * Reads a URI.
   *
   * @throws IllegalArgumentException if it breaks RFC 7512, has an attribute twice, one that cannot
   *     be honoured here, or a PIN
   */
  static Pkcs11Uri parse(String text) {
    Objects.requireNonNull(text, "URI");
    if (text.length() > MAX_LENGTH
        || !text.regionMatches(true, 0, SCHEME + ":", 0, SCHEME.length() + 1)) {
      throw new IllegalArgumentException(
          "a PKCS#11 URI starts with pkcs11: and has at most " + MAX_LENGTH + " characters");
    }
    String rest = text.substring(SCHEME.length() + 1);
    int mark = rest.indexOf('?');
    checkQuery(mark < 0 ? "" : rest.substring(mark + 1));
    return fromPath(mark < 0 ? rest : rest.substring(0, mark));
  }

  private static Pkcs11Uri fromPath(String path) {
    Map<String, byte[]> values = new HashMap<>();
    if (!path.isEmpty()) {
      for (String attribute : path.split(";", -1)) {
        String name = name(attribute);
        if (OTHER_PATH_ATTRIBUTES.contains(name)) {
          throw new IllegalArgumentException(
              "attribute "
                  + name
                  + " of a PKCS#11 URI is not supported; name token and serial,"
                  + " object and id");
        }
        if (!TOKEN_ATTRIBUTES.contains(name) && !name.equals("object") && !name.equals("id")) {
          throw new IllegalArgumentException("a PKCS#11 URI has no attribute " + name);
        }
        byte[] value = decode(name, attribute.substring(name.length() + 1), PATH_EXTRA);
        if (values.put(name, value) != null) {
          throw new IllegalArgumentException(
              "attribute " + name + " stands twice in the PKCS#11 URI");
        }
      }
    }
    Map<String, String> token = new HashMap<>();
    for (String name : TOKEN_ATTRIBUTES) {
      byte[] value = values.get(name);
      if (value != null) {
        token.put(name, text(name, value));
      }
    }
    byte[] object = values.get("object");
    byte[] id = values.get("id");
    if (object != null) {
      requireLength("object", object.length, MAX_LABEL_BYTES);
    }
    if (id != null) {
      requireLength("id", id.length, MAX_ID_BYTES);
    }
    return new Pkcs11Uri(Map.copyOf(token), object == null ? null : text("object", object), id);
  }

  private static void checkQuery(String query) {
    if (query.isEmpty()) {
      return;
    }
    for (String attribute : query.split("&", -1)) {
      String name = name(attribute);
      if (name.startsWith("pin-")) {
        throw new IllegalArgumentException(
            "a PKCS#11 URI must not say anything about the PIN ("
                + name
                + "), because URIs are"
                + " logged; use a PinSource");
      }
      if (name.startsWith("module-")) {
        throw new IllegalArgumentException(
            "attribute "
                + name
                + " of a PKCS#11 URI is not supported; the path of the module is"
                + " configured apart");
      }
      // RFC 7512 §2.3: other query attributes are for others and do not change what is matched.
      decode(name, attribute.substring(name.length() + 1), QUERY_EXTRA);
    }
  }

  private static String name(String attribute) {
    int equals = attribute.indexOf('=');
    String name = equals < 0 ? "" : attribute.substring(0, equals);
    if (name.isEmpty()
        || !name.chars()
            .allMatch(
                c -> (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_')) {
      throw new IllegalArgumentException(
          "attributes of a PKCS#11 URI are name=value, with a name of lower-case letters");
    }
    return name;
  }

  private static byte[] decode(String name, String value, String extra) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    for (int i = 0; i < value.length(); i++) {
      char c = value.charAt(i);
      if (c == '%') {
        boolean complete = i + 2 < value.length();
        int high = complete ? hexDigit(value.charAt(i + 1)) : -1;
        int low = complete ? hexDigit(value.charAt(i + 2)) : -1;
        if (high < 0 || low < 0) {
          throw new IllegalArgumentException(
              "attribute " + name + " of the PKCS#11 URI has a % without two hexadecimal digits");
        }
        out.write(16 * high + low);
        i += 2;
      } else if (isPlain(c, extra)) {
        out.write(c);
      } else {
        throw new IllegalArgumentException(
            "attribute "
                + name
                + " of the PKCS#11 URI has a character that must be written as %XX");
      }
    }
    return out.toByteArray();
  }

  /** Unlike {@link Character#digit}, it knows ASCII only. */
  private static int hexDigit(char c) {
    return c < 0x80 ? Character.digit(c, 16) : -1;
  }

  private static boolean isPlain(char c, String extra) {
    return (c >= 'a' && c <= 'z')
        || (c >= 'A' && c <= 'Z')
        || (c >= '0' && c <= '9')
        || UNRESERVED.indexOf(c) >= 0
        || extra.indexOf(c) >= 0;
  }

  private static String text(String name, byte[] value) {
    try {
      String text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(value)).toString();
      if (text.isEmpty() || text.chars().anyMatch(Character::isISOControl)) {
        throw new IllegalArgumentException(
            "attribute " + name + " of the PKCS#11 URI is empty or has control characters");
      }
      return text;
    } catch (CharacterCodingException e) {
      throw new IllegalArgumentException(
          "attribute " + name + " of the PKCS#11 URI is not UTF-8", e);
    }
  }

  private static void requireLength(String name, int length, int most) {
    if (length < 1 || length > most) {
      throw new IllegalArgumentException(
          name + " of a key must have 1 to " + most + " bytes, got " + length);
    }
  }

  /** Whether it names at least one attribute of a token. */
  boolean namesToken() {
    return !token.isEmpty();
  }

  /** Whether the token has every attribute that is named. */
  boolean matches(TokenInfo info) {
    return token.getOrDefault("token", info.label()).equals(info.label())
        && token.getOrDefault("serial", info.serial()).equals(info.serial())
        && token.getOrDefault("manufacturer", info.manufacturer()).equals(info.manufacturer())
        && token.getOrDefault("model", info.model()).equals(info.model());
  }

  /** {@code CKA_LABEL} of the key, if named. */
  @Nullable String object() {
    return object;
  }

  /** {@code CKA_ID} of the key, if named; a copy. */
  byte @Nullable [] id() {
    return id == null ? null : id.clone();
  }

  /** The same token and this key. */
  Pkcs11Uri withKey(@Nullable String label, byte @Nullable [] keyId) {
    return new Pkcs11Uri(token, label, keyId == null ? null : keyId.clone());
  }

  /** Writes an id as every byte {@code %XX}. */
  static String escape(byte[] bytes) {
    StringBuilder out = new StringBuilder(3 * bytes.length);
    for (byte b : bytes) {
      out.append(String.format(Locale.ROOT, "%%%02x", b & 0xff));
    }
    return out.toString();
  }

  private static String escape(String text) {
    StringBuilder out = new StringBuilder();
    for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
      char c = (char) (b & 0xff);
      out.append(isPlain(c, "") ? String.valueOf(c) : escape(new byte[] {b}));
    }
    return out.toString();
  }

  /** The canonical text, which {@link #parse} reads back. */
  @Override
  public String toString() {
    StringBuilder out = new StringBuilder(SCHEME + ":");
    String separator = "";
    for (String name : new String[] {"token", "serial", "manufacturer", "model"}) {
      String value = token.get(name);
      if (value != null) {
        out.append(separator).append(name).append('=').append(escape(value));
        separator = ";";
      }
    }
    if (object != null) {
      out.append(separator).append("object=").append(escape(object));
      separator = ";";
    }
    if (id != null) {
      out.append(separator).append("id=").append(escape(id));
    }
    return out.toString();
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Pkcs11Uri uri
        && token.equals(uri.token)
        && Objects.equals(object, uri.object)
        && Arrays.equals(id, uri.id);
  }

  @Override
  public int hashCode() {
    return Objects.hash(token, object, Arrays.hashCode(id));
  }
}
