package dev.sealwax.kms.pkcs11;

import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The bytes of a wrapped key (pkcs11-root-key-v1 §3): what made it, and the parts. Every content
 * has one encoding. Holds arrays that callers must not change.
 */
final class WrappedBlob {
  private static final byte VERSION = 1;
  private static final int VERSION_POS = 0;
  private static final int MECHANISM_POS = VERSION_POS + 1; // 1
  private static final int ID_LEN_POS = MECHANISM_POS + 1; // 2
  private static final int ID_POS = ID_LEN_POS + 1; // 3
  private static final int LENGTH_BYTES = 2;

  /** A tag or signature never is longer: RSA with 16,384 bits. */
  private static final int MAX_PART_BYTES = 2048;

  private static final int GCM_OVERHEAD = Mechanism.Gcm.IV_BYTES + Mechanism.Gcm.TAG_BYTES;
  private static final byte[] BINDING_LABEL = label("sealwax/pkcs11-root-key/v1/binding");
  private static final byte[] AUTHENTICATOR_LABEL = label("sealwax/pkcs11-root-key/v1/author");

  private final WrapMechanism mechanism;
  private final byte[] keyId;
  private final byte[] protectedPart;
  private final byte[] authenticator;
  private final byte[] sealed;

  WrappedBlob(
      WrapMechanism mechanism,
      byte[] keyId,
      byte[] protectedPart,
      byte[] authenticator,
      byte[] sealed) {
    this.mechanism = mechanism;
    this.keyId = keyId;
    this.protectedPart = protectedPart;
    this.authenticator = authenticator;
    this.sealed = sealed;
  }

  /** How it is protected. */
  WrapMechanism mechanism() {
    return mechanism;
  }

  /** {@code CKA_ID} of the root key. */
  byte[] keyId() {
    return keyId;
  }

  /** What the token made: of the secret itself (IV and ciphertext), or of a seed. */
  byte[] protectedPart() {
    return protectedPart;
  }

  /** What the companion key says about the rest; empty without one. */
  byte[] authenticator() {
    return authenticator;
  }

  /** The secret under the key derived from the seed; empty if there is no seed. */
  byte[] sealed() {
    return sealed;
  }

  /** A label as it enters a hash: ended by a zero byte, so that none is a prefix of another. */
  static byte[] label(String ascii) {
    return (ascii + '\0').getBytes(StandardCharsets.US_ASCII);
  }

  byte[] encode() {
    if (!mechanism.usesSeed()) {
      return ByteBuffer.allocate(ID_POS + keyId.length + protectedPart.length)
          .put(header(mechanism, keyId))
          .put(protectedPart)
          .array();
    }
    return ByteBuffer.allocate(
            ID_POS
                + keyId.length
                + LENGTH_BYTES
                + protectedPart.length
                + LENGTH_BYTES
                + authenticator.length
                + sealed.length)
        .put(header(mechanism, keyId))
        .putShort((short) protectedPart.length)
        .put(protectedPart)
        .putShort((short) authenticator.length)
        .put(authenticator)
        .put(sealed)
        .array();
  }

  /** Reads a blob; null for anything that {@link #encode} does not write. */
  static @Nullable WrappedBlob decode(byte[] bytes) {
    if (bytes.length < ID_POS || bytes[VERSION_POS] != VERSION) {
      return null;
    }
    WrapMechanism mechanism = WrapMechanism.ofNumber(bytes[MECHANISM_POS] & 0xff);
    int idLength = bytes[ID_LEN_POS] & 0xff;
    if (mechanism == null
        || idLength < 1
        || idLength > Pkcs11Uri.MAX_ID_BYTES
        || bytes.length < ID_POS + idLength) {
      return null;
    }
    byte[] keyId = Arrays.copyOfRange(bytes, ID_POS, ID_POS + idLength);
    ByteBuffer rest = ByteBuffer.wrap(bytes, ID_POS + idLength, bytes.length - ID_POS - idLength);
    return mechanism.usesSeed()
        ? decodeSeeded(mechanism, keyId, rest)
        : decodePlain(mechanism, keyId, rest);
  }

  private static @Nullable WrappedBlob decodePlain(
      WrapMechanism mechanism, byte[] keyId, ByteBuffer rest) {
    int secretLength = rest.remaining() - GCM_OVERHEAD;
    return isSecretLength(secretLength)
        ? new WrappedBlob(mechanism, keyId, take(rest, rest.remaining()), new byte[0], new byte[0])
        : null;
  }

  private static @Nullable WrappedBlob decodeSeeded(
      WrapMechanism mechanism, byte[] keyId, ByteBuffer rest) {
    byte[] seed = takePart(rest);
    byte[] authenticator = seed == null ? null : takePart(rest);
    if (seed == null
        || authenticator == null
        || !isSeedLength(mechanism, seed.length)
        || !isAuthenticatorLength(mechanism, authenticator.length)
        || !isSecretLength(rest.remaining() - SeedCipher.OVERHEAD)) {
      return null;
    }
    return new WrappedBlob(mechanism, keyId, seed, authenticator, take(rest, rest.remaining()));
  }

  private static boolean isSeedLength(WrapMechanism mechanism, int length) {
    return switch (mechanism) {
      case AES_GCM -> false;
      case AES_KW, AES_KWP -> length == SeedCipher.SEED_BYTES + 8; // RFC 3394 and 5649 add a block
      case AES_CBC_HMAC -> length == CbcProtection.IV_BYTES + SeedCipher.SEED_BYTES;
      case RSA_OAEP_SHA256, RSA_OAEP_SHA1 -> length > 0;
    };
  }

  private static boolean isAuthenticatorLength(WrapMechanism mechanism, int length) {
    return switch (mechanism) {
      case AES_GCM, AES_KW, AES_KWP -> length == 0;
      case AES_CBC_HMAC -> length == HmacAuthor.MAC_BYTES;
      case RSA_OAEP_SHA256, RSA_OAEP_SHA1 -> length > 0;
    };
  }

  private static boolean isSecretLength(int length) {
    return length >= 1 && length <= KeyMaterial.MAX_BYTES;
  }

  private static byte @Nullable [] takePart(ByteBuffer rest) {
    if (rest.remaining() < LENGTH_BYTES) {
      return null;
    }
    int length = rest.getShort() & 0xffff;
    return length > MAX_PART_BYTES || length > rest.remaining() ? null : take(rest, length);
  }

  private static byte[] take(ByteBuffer rest, int length) {
    byte[] part = new byte[length];
    rest.get(part);
    return part;
  }

  private static byte[] header(WrapMechanism mechanism, byte[] keyId) {
    return ByteBuffer.allocate(ID_POS + keyId.length)
        .put(VERSION)
        .put((byte) mechanism.number())
        .put((byte) keyId.length)
        .put(keyId)
        .array();
  }

  /**
   * What a wrapped key is bound to: its mechanism, its root key and the context, in 32 bytes. A
   * hash, because tokens limit associated data, some to less than a context may have.
   */
  static byte[] binding(WrapMechanism mechanism, byte[] keyId, EncryptionContext context) {
    MessageDigest sha256 = sha256();
    sha256.update(BINDING_LABEL);
    sha256.update(header(mechanism, keyId));
    return sha256.digest(context.toCanonicalBytes());
  }

  /** What a companion key authenticates: binding, protected seed and sealed secret. */
  static byte[] authored(byte[] binding, byte[] protectedSeed, byte[] sealed) {
    MessageDigest sha256 = sha256();
    sha256.update(AUTHENTICATOR_LABEL);
    sha256.update(binding);
    sha256.update(
        ByteBuffer.allocate(LENGTH_BYTES).putShort(0, (short) protectedSeed.length).array());
    sha256.update(protectedSeed);
    return sha256.digest(sealed);
  }

  static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("this JDK lacks SHA-256", e);
    }
  }

  @Override
  public String toString() {
    return "WrappedBlob[" + mechanism + "]";
  }
}
