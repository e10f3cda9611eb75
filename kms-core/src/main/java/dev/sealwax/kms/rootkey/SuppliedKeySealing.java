package dev.sealwax.kms.rootkey;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.INVALID_CIPHERTEXT;

import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.util.Arrays;
import java.util.Objects;

/** A root key file sealed by 32 bytes that the host keeps elsewhere. */
final class SuppliedKeySealing implements Sealing {
  static final byte METHOD = 2;
  static final int KEY_LEN = 32;

  private final byte[] key;

  private SuppliedKeySealing(byte[] key) {
    this.key = key;
  }

  /** Copies {@code key}. */
  static SuppliedKeySealing of(KeyMaterial key) {
    if (Objects.requireNonNull(key, "sealing key").lengthBytes() != KEY_LEN) {
      throw new IllegalArgumentException(
          "sealing key must be " + KEY_LEN + " bytes, got " + key.lengthBytes());
    }
    return new SuppliedKeySealing(key.use(byte[]::clone));
  }

  @Override
  public byte method() {
    return METHOD;
  }

  @Override
  public byte[] parameters() {
    return new byte[PARAMETERS_LEN];
  }

  @Override
  public byte[] inputKey(byte[] parameters, byte[] salt) {
    if (!Arrays.equals(parameters, parameters())) {
      throw new RootKeyException(
          INVALID_CIPHERTEXT, "root key file sealed by a supplied key has nonzero parameters");
    }
    return key.clone();
  }

  @Override
  public void close() {
    Arrays.fill(key, (byte) 0);
  }
}
