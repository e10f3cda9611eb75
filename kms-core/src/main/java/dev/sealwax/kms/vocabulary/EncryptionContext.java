package dev.sealwax.kms.vocabulary;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Collections;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import javax.crypto.Cipher;

/**
 * Public facts that a ciphertext is bound to, such as table, row and tenant.
 *
 * <p>They are authenticated, not stored and not secret: whoever decrypts states them again, and any
 * difference makes decryption fail. The order of the pairs does not matter. Values are kept out of
 * {@link #toString()} because they often name a customer. Immutable; safe for any thread. Building
 * one costs a sort and an encoding, so reuse it for records that share it.
 */
public final class EncryptionContext {
  /** Most pairs in one context. */
  public static final int MAX_PAIRS = 64;

  /** Largest {@linkplain #toCanonicalBytes() canonical encoding}, in bytes. */
  public static final int MAX_ENCODED_BYTES = 8192;

  private static final EncryptionContext EMPTY =
      new EncryptionContext(Collections.emptyNavigableMap());

  private final Map<String, String> pairs;
  private final byte[] canonical;

  private EncryptionContext(Map<String, String> sorted) {
    pairs = Collections.unmodifiableMap(sorted);
    canonical = encode(sorted);
  }

  /** The context without pairs. */
  public static EncryptionContext empty() {
    return EMPTY;
  }

  /**
   * Builds a context from alternating keys and values.
   *
   * @throws IllegalArgumentException if the count is odd, a key is empty or repeated, a string has
   *     an unpaired surrogate (two such strings could encode alike), or a limit of this class is
   *     exceeded
   */
  public static EncryptionContext of(String... keysAndValues) {
    Objects.requireNonNull(keysAndValues, "context");
    if (keysAndValues.length % 2 != 0) {
      throw new IllegalArgumentException(
          "context needs a value for every key, got " + keysAndValues.length + " strings");
    }
    Map<String, String> sorted = new TreeMap<>();
    for (int i = 0; i < keysAndValues.length; i += 2) {
      put(sorted, keysAndValues[i], keysAndValues[i + 1]);
    }
    return new EncryptionContext(sorted);
  }

  /**
   * Builds a context from a map, which is copied.
   *
   * @throws IllegalArgumentException as {@link #of(String...)} does
   */
  public static EncryptionContext of(Map<String, String> pairs) {
    Map<String, String> sorted = new TreeMap<>();
    Objects.requireNonNull(pairs, "context").forEach((key, value) -> put(sorted, key, value));
    return new EncryptionContext(sorted);
  }

  private static void put(Map<String, String> sorted, String key, String value) {
    Objects.requireNonNull(key, "context key");
    Objects.requireNonNull(value, "context value");
    if (key.isEmpty()) {
      throw new IllegalArgumentException("context key is empty");
    }
    if (sorted.put(key, value) != null) {
      throw new IllegalArgumentException("context key is repeated; key (escaped): " + escape(key));
    }
  }

  /** The pairs, sorted by key, unmodifiable. */
  public Map<String, String> asMap() {
    return pairs;
  }

  /**
   * The injective encoding that is authenticated (envelope-v1 §5): the number of pairs, then for
   * each pair in order of its key the key and the value, each with a two-byte length before its
   * UTF-8 bytes.
   */
  public byte[] toCanonicalBytes() {
    return canonical.clone();
  }

  /**
   * Feeds the canonical encoding to {@code cipher} as associated data, without the copy of the
   * accessor.
   */
  public void authenticateWith(Cipher cipher) {
    cipher.updateAAD(canonical);
  }

  private static byte[] encode(Map<String, String> sorted) {
    if (sorted.size() > MAX_PAIRS) {
      throw new IllegalArgumentException(
          "context has " + sorted.size() + " pairs, the limit is " + MAX_PAIRS);
    }
    ByteBuffer out = ByteBuffer.allocate(MAX_ENCODED_BYTES);
    out.putShort((short) sorted.size());
    // String order is UTF-16 order. It differs from UTF-8 order beyond the BMP, so envelope-v1
    // fixes UTF-16.
    sorted.forEach(
        (key, value) -> {
          putString(out, key, key);
          putString(out, value, key);
        });
    return Arrays.copyOf(out.array(), out.position());
  }

  private static void putString(ByteBuffer out, String text, String key) {
    int start = out.position();
    if (out.remaining() < 2) {
      throw tooLarge();
    }
    out.position(start + 2);
    var encoder =
        StandardCharsets.UTF_8
            .newEncoder()
            .onMalformedInput(CodingErrorAction.REPORT)
            .onUnmappableCharacter(CodingErrorAction.REPORT);
    try {
      var result = encoder.encode(CharBuffer.wrap(text), out, true);
      if (result.isOverflow()) {
        throw tooLarge();
      }
      if (result.isError()) {
        result.throwException();
      }
    } catch (CharacterCodingException e) {
      throw new IllegalArgumentException(
          "context entry has an unpaired surrogate; key (escaped): " + escape(key), e);
    }
    out.putShort(start, (short) (out.position() - start - 2));
  }

  private static String escape(String key) {
    StringBuilder out = new StringBuilder();
    key.chars()
        .forEach(
            c ->
                out.append(
                    c >= 0x20 && c < 0x7f
                        ? String.valueOf((char) c)
                        : String.format("\\u%04x", c)));
    return out.toString();
  }

  private static IllegalArgumentException tooLarge() {
    return new IllegalArgumentException(
        "context encodes to more than " + MAX_ENCODED_BYTES + " bytes");
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof EncryptionContext context
        && Arrays.equals(canonical, context.canonical);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(canonical);
  }

  /** The keys; never the values. */
  @Override
  public String toString() {
    return "EncryptionContext" + pairs.keySet();
  }
}
