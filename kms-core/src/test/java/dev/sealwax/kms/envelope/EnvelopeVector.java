package dev.sealwax.kms.envelope;

import dev.sealwax.kms.vocabulary.EncryptionContext;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * One file of testvectors/envelope-v1; its README describes the fields.
 *
 * @param expiresAt when the keyset expires; null if never
 * @param now what the clock of the reader shows; null if that does not matter
 * @param pairs the keys and values of the context, one after the other
 * @param expect the outcome; {@code detail} is the field or the reason that goes with it, if any
 * @param offset where the field starts; null unless the outcome is malformed
 * @param plaintext null unless the outcome is success
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
record EnvelopeVector(
    String name,
    String keyset,
    @Nullable Instant expiresAt,
    List<VectorOpener.Key> keys,
    @Nullable Instant now,
    List<String> pairs,
    Input input,
    String expect,
    @Nullable String detail,
    @Nullable Integer offset,
    byte @Nullable [] plaintext) {
  static final Path DIRECTORY =
      Path.of(System.getProperty("basedir", "."))
          .toAbsolutePath()
          .resolve("../testvectors")
          .normalize();

  private static final HexFormat HEX = HexFormat.of();

  /** The form that a vector hands its envelope over in. */
  sealed interface Input {
    record Whole(byte[] envelope) implements Input {}

    record Text(String text) implements Input {}

    record Split(byte[] header, byte[] body) implements Input {}
  }

  /** All vectors, in the order of their names. */
  static List<EnvelopeVector> all() throws IOException {
    List<EnvelopeVector> vectors = new ArrayList<>();
    try (Stream<Path> files = Files.list(DIRECTORY.resolve("envelope-v1"))) {
      for (Path file : files.sorted().toList()) {
        vectors.add(read(file));
      }
    }
    return vectors;
  }

  /** The vector of that name. */
  static EnvelopeVector named(String name) throws IOException {
    return read(DIRECTORY.resolve("envelope-v1").resolve(name + ".json"));
  }

  /**
   * The context that the reader states.
   *
   * @throws IllegalArgumentException if it is none
   */
  EncryptionContext context() {
    return EncryptionContext.of(pairs.toArray(String[]::new));
  }

  /** The envelope of a vector that carries it whole. */
  byte[] envelope() {
    return ((Input.Whole) input).envelope();
  }

  private static EnvelopeVector read(Path file) throws IOException {
    String name = file.getFileName().toString().replaceAll("\\.json$", "");
    Fields fields = new Fields(VectorJson.parseObject(Files.readString(file)));
    try {
      fields.string("comment");
      fields.list("spec");
      String expect = fields.string("expect");
      EnvelopeVector vector =
          new EnvelopeVector(
              name,
              fields.string("keyset"),
              fields.instant("expiresAt"),
              fields.list("keys").stream().map(EnvelopeVector::key).toList(),
              fields.instant("now"),
              pairs(fields),
              input(fields),
              expect,
              switch (expect) {
                case "malformed" -> fields.string("field");
                case "key-unavailable" -> fields.string("reason");
                case "success", "decryption-failed", "invalid-context" -> null;
                default -> throw new IllegalArgumentException("unknown outcome " + expect);
              },
              expect.equals("malformed") ? fields.number("offset") : null,
              expect.equals("success") ? plaintext(fields) : null);
      fields.requireAllRead();
      return vector;
    } catch (IllegalArgumentException | ClassCastException e) {
      throw new IOException("vector " + name + " cannot be read: " + e.getMessage(), e);
    }
  }

  private static VectorOpener.Key key(Object json) {
    Fields key = new Fields(json);
    byte[] kek = key.has("kek") ? HEX.parseHex(key.string("kek")) : null;
    VectorOpener.Key result =
        new VectorOpener.Key(
            key.number("version"), key.string("state"), kek, key.instant("expiresAt"));
    key.requireAllRead();
    return result;
  }

  private static List<String> pairs(Fields fields) {
    Stream<?> strings =
        fields.has("contextPairs")
            ? fields.list("contextPairs").stream().flatMap(pair -> ((List<?>) pair).stream())
            : fields.object("context").entrySet().stream()
                .flatMap(pair -> Stream.of(pair.getKey(), pair.getValue()));
    return strings.map(String.class::cast).toList();
  }

  private static Input input(Fields fields) {
    if (fields.has("envelope")) {
      return new Input.Whole(HEX.parseHex(fields.string("envelope")));
    }
    if (fields.has("envelopeBase64")) {
      return new Input.Whole(Base64.getDecoder().decode(fields.string("envelopeBase64")));
    }
    if (fields.has("text")) {
      return new Input.Text(fields.string("text"));
    }
    Map<String, Object> parts = fields.object("splitHeader");
    return new Input.Split(
        HEX.parseHex((String) parts.get("header")), HEX.parseHex((String) parts.get("body")));
  }

  private static byte[] plaintext(Fields fields) {
    Object json = fields.take("plaintext");
    if (json instanceof String hex) {
      return HEX.parseHex(hex);
    }
    Fields pattern = new Fields(json);
    byte[] repeat = HEX.parseHex(pattern.string("repeat"));
    byte[] plaintext = new byte[pattern.number("length")];
    for (int i = 0; i < plaintext.length; i++) {
      plaintext[i] = repeat[i % repeat.length];
    }
    return plaintext;
  }

  /**
   * The fields of a JSON object, and which of them were read: an unread one is a mistake in the
   * vector.
   */
  private static final class Fields {
    private final Map<?, ?> json;
    private final Set<String> read = new HashSet<>();

    Fields(Object json) {
      this.json = (Map<?, ?>) json;
    }

    boolean has(String name) {
      return json.containsKey(name);
    }

    Object take(String name) {
      read.add(name);
      Object value = json.get(name);
      if (value == null) {
        throw new IllegalArgumentException("field " + name + " is missing");
      }
      return value;
    }

    String string(String name) {
      return (String) take(name);
    }

    int number(String name) {
      return (Integer) take(name);
    }

    @Nullable Instant instant(String name) {
      return has(name) ? Instant.parse(string(name)) : null;
    }

    List<?> list(String name) {
      return (List<?>) take(name);
    }

    @SuppressWarnings("unchecked")
    Map<String, Object> object(String name) {
      return (Map<String, Object>) take(name);
    }

    void requireAllRead() {
      if (!read.equals(json.keySet())) {
        throw new IllegalArgumentException("fields " + json.keySet() + ", known here are " + read);
      }
    }
  }
}
