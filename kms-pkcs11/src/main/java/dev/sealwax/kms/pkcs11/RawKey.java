package dev.sealwax.kms.pkcs11;

import java.util.Arrays;
import javax.crypto.SecretKey;

/**
 * A JCE key that can be wiped, which {@code SecretKeySpec} cannot: its {@code destroy} throws.
 * Prints nothing, is equal to itself only, and is used by one thread.
 */
final class RawKey implements SecretKey, AutoCloseable {
  private static final long serialVersionUID = 1L;

  private final transient byte[] bytes;
  private final String algorithm;

  /** Takes the array over and wipes it on close. */
  RawKey(byte[] bytes, String algorithm) {
    this.bytes = bytes;
    this.algorithm = algorithm;
  }

  @Override
  public String getAlgorithm() {
    return algorithm;
  }

  @Override
  public String getFormat() {
    return "RAW";
  }

  /** A copy, which SunJCE wipes after use. */
  @Override
  public byte[] getEncoded() {
    return bytes.clone();
  }

  @Override
  public void close() {
    Arrays.fill(bytes, (byte) 0);
  }

  @Override
  public String toString() {
    return "RawKey[" + algorithm + "]";
  }
}
