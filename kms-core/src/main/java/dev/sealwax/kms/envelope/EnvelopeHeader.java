package dev.sealwax.kms.envelope;

import dev.sealwax.kms.crypto.GcmKey;
import dev.sealwax.kms.keyset.KeyEncryptionKey;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.MalformedEnvelopeException;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * The header of envelope-v1: which keyset and key version wrapped the data key, the wrapped data
 * key, and the commitment to it. Exactly one byte string exists for each header, and parsing
 * accepts nothing else. Immutable.
 */
final class EnvelopeHeader {
  static final int MAGIC_POS = 0;
  static final int MAGIC_LEN = 3;
  static final int VERSION_POS = MAGIC_POS + MAGIC_LEN; // 3
  static final int SUITE_POS = VERSION_POS + 1; // 4
  static final int NAME_LENGTH_POS = SUITE_POS + 1; // 5
  static final int NAME_POS = NAME_LENGTH_POS + 1; // 6
  // The name has n bytes; what follows is counted from the end of the name.
  static final int KEY_VERSION_POS = 0;
  static final int KEY_VERSION_LEN = 4;
  static final int WRAPPED_POS = KEY_VERSION_POS + KEY_VERSION_LEN; // 4
  static final int WRAPPED_LEN = KeyEncryptionKey.WRAPPED_BYTES; // 40
  static final int COMMITMENT_POS = WRAPPED_POS + WRAPPED_LEN; // 44
  static final int COMMITMENT_LEN = 32;
  static final int AFTER_NAME_LEN = COMMITMENT_POS + COMMITMENT_LEN; // 76

  /** Length of a header whose keyset has the longest name, in bytes. */
  static final int MAX_LEN = NAME_POS + KeysetId.MAX_LENGTH + AFTER_NAME_LEN; // 146

  /** Bounds of the body that follows a header of the one-shot suite, in bytes. */
  static final int ONE_SHOT_MIN_BODY = GcmKey.NONCE_BYTES + GcmKey.TAG_BYTES; // 28

  static final int ONE_SHOT_MAX_BODY = ONE_SHOT_MIN_BODY + SealingPath.ONE_SHOT_MAX_BYTES;

  static final byte FORMAT_VERSION = 1;
  private static final byte[] MAGIC = {'S', 'W', 'X'};
  private static final VarHandle INT =
      MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.BIG_ENDIAN);

  private final AlgorithmSuite suite;
  private final KeysetId keyset;
  private final int keyVersion;
  private final byte[] encoded;

  private EnvelopeHeader(AlgorithmSuite suite, KeysetId keyset, int keyVersion, byte[] encoded) {
    this.suite = suite;
    this.keyset = keyset;
    this.keyVersion = keyVersion;
    this.encoded = encoded;
  }

  /** Length of the headers of {@code keyset}, in bytes. */
  static int lengthFor(KeysetId keyset) {
    return NAME_POS + keyset.value().length() + AFTER_NAME_LEN;
  }

  /** Where the wrapped data key starts in the headers of {@code keyset}. */
  static int wrappingPosition(KeysetId keyset) {
    return NAME_POS + keyset.value().length() + WRAPPED_POS;
  }

  static EnvelopeHeader of(
      AlgorithmSuite suite,
      KeysetId keyset,
      int keyVersion,
      byte[] wrappedDataKey,
      byte[] commitment) {
    byte[] name = keyset.value().getBytes(StandardCharsets.US_ASCII);
    int nameEnd = NAME_POS + name.length;
    byte[] out = new byte[nameEnd + AFTER_NAME_LEN];
    System.arraycopy(MAGIC, 0, out, MAGIC_POS, MAGIC_LEN);
    out[VERSION_POS] = FORMAT_VERSION;
    out[SUITE_POS] = (byte) suite.id();
    out[NAME_LENGTH_POS] = (byte) name.length;
    System.arraycopy(name, 0, out, NAME_POS, name.length);
    INT.set(out, nameEnd + KEY_VERSION_POS, keyVersion);
    System.arraycopy(wrappedDataKey, 0, out, nameEnd + WRAPPED_POS, WRAPPED_LEN);
    System.arraycopy(commitment, 0, out, nameEnd + COMMITMENT_POS, COMMITMENT_LEN);
    return new EnvelopeHeader(suite, keyset, keyVersion, out);
  }

  /**
   * Reads the header at the start of {@code in}; what follows it is not looked at.
   *
   * @throws MalformedEnvelopeException naming the first field that is wrong or missing
   */
  static EnvelopeHeader parse(byte[] in) {
    AlgorithmSuite suite = suite(in);
    int nameLength = nameLength(in);
    requireLength(in, "keyset name", NAME_POS, nameLength);
    // ISO-8859-1 keeps every byte apart, so that a byte outside ASCII cannot turn into an allowed
    // character.
    String name = new String(in, NAME_POS, nameLength, StandardCharsets.ISO_8859_1);
    if (!KeysetId.isValid(name)) {
      throw new MalformedEnvelopeException(
          "keyset name", NAME_POS, "holds a character that keyset names never have");
    }
    int nameEnd = NAME_POS + nameLength;
    requireLength(in, "key version", nameEnd + KEY_VERSION_POS, KEY_VERSION_LEN);
    int keyVersion = (int) INT.get(in, nameEnd + KEY_VERSION_POS);
    if (keyVersion < 1) {
      throw new MalformedEnvelopeException(
          "key version",
          nameEnd + KEY_VERSION_POS,
          "is " + Integer.toUnsignedString(keyVersion) + ", allowed are 1 to 2^31-1");
    }
    requireLength(in, "wrapped data key", nameEnd + WRAPPED_POS, WRAPPED_LEN);
    requireLength(in, "commitment", nameEnd + COMMITMENT_POS, COMMITMENT_LEN);
    return new EnvelopeHeader(
        suite, KeysetId.of(name), keyVersion, Arrays.copyOf(in, nameEnd + AFTER_NAME_LEN));
  }

  /**
   * Bytes of the header that follow its first {@link #NAME_POS}, which is all of it that this looks
   * at.
   *
   * @throws MalformedEnvelopeException naming the first of their fields that is wrong or missing
   */
  static int restLength(byte[] start) {
    suite(start);
    return nameLength(start) + AFTER_NAME_LEN;
  }

  private static AlgorithmSuite suite(byte[] in) {
    for (int i = 0; i < MAGIC_LEN; i++) {
      if (require(in, "magic", MAGIC_POS, MAGIC_LEN, i) != MAGIC[i]) {
        throw new MalformedEnvelopeException(
            "magic",
            MAGIC_POS,
            startsAsText(in)
                ? "is that of the text form; use decryptText, rewrapText or inspectText"
                : "is not 53 57 58; this is no Sealwax envelope");
      }
    }
    int formatVersion = require(in, "format version", VERSION_POS, 1, 0);
    if (formatVersion != FORMAT_VERSION) {
      throw new MalformedEnvelopeException(
          "format version", VERSION_POS, "is " + (formatVersion & 0xff) + "; this library reads 1");
    }
    int suiteId = require(in, "suite", SUITE_POS, 1, 0) & 0xff;
    AlgorithmSuite suite = AlgorithmSuite.ofId(suiteId);
    if (suite == null) {
      throw new MalformedEnvelopeException(
          "suite", SUITE_POS, "is " + suiteId + "; this library reads 1 and 2");
    }
    return suite;
  }

  private static int nameLength(byte[] in) {
    int nameLength = require(in, "keyset name length", NAME_LENGTH_POS, 1, 0) & 0xff;
    if (nameLength < 1 || nameLength > KeysetId.MAX_LENGTH) {
      throw new MalformedEnvelopeException(
          "keyset name length",
          NAME_LENGTH_POS,
          "is " + nameLength + ", allowed are 1 to " + KeysetId.MAX_LENGTH);
    }
    return nameLength;
  }

  private static boolean startsAsText(byte[] in) {
    byte[] prefix = TextForm.PREFIX.getBytes(StandardCharsets.US_ASCII);
    return in.length >= prefix.length
        && Arrays.equals(in, 0, prefix.length, prefix, 0, prefix.length);
  }

  private static byte require(byte[] in, String field, int position, int length, int index) {
    requireLength(in, field, position, length);
    return in[position + index];
  }

  private static void requireLength(byte[] in, String field, int position, int length) {
    if (in.length - position < length) {
      throw new MalformedEnvelopeException(
          field,
          position,
          "needs " + length + " bytes, the input ends after " + Math.max(0, in.length - position));
    }
  }

  AlgorithmSuite suite() {
    return suite;
  }

  KeysetId keyset() {
    return keyset;
  }

  int keyVersion() {
    return keyVersion;
  }

  int lengthBytes() {
    return encoded.length;
  }

  /** Where the wrapped data key starts within the encoded header. */
  int wrappedDataKeyPosition() {
    return encoded.length - AFTER_NAME_LEN + WRAPPED_POS;
  }

  byte[] commitment() {
    return Arrays.copyOfRange(encoded, encoded.length - COMMITMENT_LEN, encoded.length);
  }

  /** The same data key under another wrapping; everything else, and the length, stay. */
  EnvelopeHeader withWrapping(int newKeyVersion, byte[] wrappedDataKey) {
    return of(suite, keyset, newKeyVersion, wrappedDataKey, commitment());
  }

  byte[] toBytes() {
    return encoded.clone();
  }

  /** The encoding itself, for this package to read; never changed. */
  byte[] encoded() {
    return encoded;
  }

  void writeTo(byte[] out) {
    System.arraycopy(encoded, 0, out, 0, encoded.length);
  }

  /** Whether {@code envelope} starts with exactly this header. */
  boolean isPrefixOf(byte[] envelope) {
    return envelope.length >= encoded.length
        && Arrays.equals(encoded, 0, encoded.length, envelope, 0, encoded.length);
  }

  /** Parses a header with nothing behind it. */
  static EnvelopeHeader parseAlone(byte[] bytes) {
    EnvelopeHeader header = parse(bytes);
    if (bytes.length != header.lengthBytes()) {
      throw new MalformedEnvelopeException(
          "body", header.lengthBytes(), "follows a header that should stand alone");
    }
    return header;
  }

  /** Refuses a body of a length that none of this suite has. */
  void requireBody(long bodyLength) {
    boolean oneShot = suite() == AlgorithmSuite.ONE_SHOT;
    int shortest = oneShot ? ONE_SHOT_MIN_BODY : ChunkedBody.MIN_BYTES;
    if (bodyLength < shortest) {
      throw new MalformedEnvelopeException(
          "body", lengthBytes(), "needs at least " + shortest + " bytes, has " + bodyLength);
    }
    if (oneShot && bodyLength > ONE_SHOT_MAX_BODY) {
      throw new MalformedEnvelopeException(
          "body",
          lengthBytes(),
          "may have at most " + ONE_SHOT_MAX_BODY + " bytes in this suite, has more");
    }
  }
}
