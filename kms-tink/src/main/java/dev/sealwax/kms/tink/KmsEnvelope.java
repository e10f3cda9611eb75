package dev.sealwax.kms.tink;

import dev.sealwax.kms.envelope.EnvelopeInfo;
import dev.sealwax.kms.vocabulary.MalformedEnvelopeException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Optional;

/**
 * The parts of a ciphertext of Tink's {@code KmsEnvelopeAead}: four bytes with the length of the
 * encrypted data key, big endian, the encrypted data key, the payload. Immutable, over an array
 * that is not copied.
 */
final class KmsEnvelope {
  /** Tink's own limit. */
  static final int MAX_DATA_KEY_BYTES = 4096;

  static final byte[] NO_BYTES = {};

  private final byte[] encoded;
  private final byte[] encryptedDataKey;
  private final Optional<EnvelopeInfo> claim;

  private KmsEnvelope(byte[] encoded, byte[] encryptedDataKey) {
    this.encoded = encoded;
    this.encryptedDataKey = encryptedDataKey;
    this.claim = claimOf(encryptedDataKey);
  }

  /**
   * Reads the lengths and what the encrypted data key claims to be.
   *
   * @throws MalformedEnvelopeException if the length of the encrypted data key is none that Tink
   *     writes, or more than follows it
   */
  static KmsEnvelope parse(byte[] encoded) {
    int length = dataKeyLength(encoded);
    int available = encoded.length - Integer.BYTES;
    if (length > available) {
      throw malformedLength("is " + length + ", but only " + available + " bytes follow");
    }
    return new KmsEnvelope(
        encoded, Arrays.copyOfRange(encoded, Integer.BYTES, Integer.BYTES + length));
  }

  /** The same of the first bytes of one; for its claim. */
  static KmsEnvelope parseStart(byte[] start) {
    int end = (int) Math.min(start.length, (long) Integer.BYTES + dataKeyLength(start));
    return new KmsEnvelope(start, Arrays.copyOfRange(start, Integer.BYTES, end));
  }

  private static int dataKeyLength(byte[] start) {
    if (start.length < Integer.BYTES) {
      throw malformedLength("needs 4 bytes, the input ends after " + start.length);
    }
    return requireDataKeyLength(ByteBuffer.wrap(start).getInt());
  }

  private static int requireDataKeyLength(int length) {
    if (length < 1 || length > MAX_DATA_KEY_BYTES) {
      throw malformedLength(
          "is "
              + Integer.toUnsignedString(length)
              + ", allowed are 1 to "
              + MAX_DATA_KEY_BYTES
              + "; this is no ciphertext of KmsEnvelopeAead");
    }
    return length;
  }

  private static MalformedEnvelopeException malformedLength(String problem) {
    return new MalformedEnvelopeException("length of the encrypted data key", 0, problem);
  }

  private static Optional<EnvelopeInfo> claimOf(byte[] encryptedDataKey) {
    try {
      return Optional.of(EnvelopeInfo.inspect(encryptedDataKey));
    } catch (MalformedEnvelopeException e) {
      return Optional.empty();
    }
  }

  /** What the encrypted data key says of itself, if that is a Sealwax envelope. */
  Optional<EnvelopeInfo> claim() {
    return claim;
  }

  /** Not a copy: to be read only. */
  byte[] encryptedDataKey() {
    return encryptedDataKey;
  }

  /**
   * The encrypted data key, if it is a Sealwax envelope.
   *
   * @throws MalformedEnvelopeException if not
   */
  byte[] requireSealwax() {
    if (claim.isEmpty()) {
      throw new MalformedEnvelopeException(
          "encrypted data key",
          Integer.BYTES,
          "is no Sealwax envelope that this library reads, so it needs the old key-encryption key");
    }
    return encryptedDataKey;
  }

  byte[] payload() {
    return Arrays.copyOfRange(encoded, payloadPosition(), encoded.length);
  }

  /**
   * A new ciphertext with the same payload.
   *
   * @throws MalformedEnvelopeException if no reader would take an encrypted data key of that length
   */
  byte[] withDataKey(byte[] newEncryptedDataKey) {
    requireDataKeyLength(newEncryptedDataKey.length);
    int payloadLength = encoded.length - payloadPosition();
    return ByteBuffer.allocate(Integer.BYTES + newEncryptedDataKey.length + payloadLength)
        .putInt(newEncryptedDataKey.length)
        .put(newEncryptedDataKey)
        .put(encoded, payloadPosition(), payloadLength)
        .array();
  }

  private int payloadPosition() {
    return Integer.BYTES + encryptedDataKey.length;
  }
}
