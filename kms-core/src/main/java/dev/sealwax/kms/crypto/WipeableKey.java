package dev.sealwax.kms.crypto;

import java.util.Arrays;
import javax.crypto.SecretKey;

/**
 * A JCE key that can be wiped, which {@code SecretKeySpec} cannot: its {@code destroy} throws on
 * JDK 17 to 25.
 *
 * <p>Keys are compared by identity and print nothing. Owned by one cipher holder; not safe for
 * concurrent use with {@link #destroy()}.
 */
final class WipeableKey implements SecretKey {
  private static final long serialVersionUID = 1L;

  private final transient byte[] bytes;
  private final String algorithm;
  private boolean destroyed;

  /** Copies {@code bytes}. */
  WipeableKey(byte[] bytes, String algorithm) {
    this.bytes = bytes.clone();
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

  /** A copy: SunJCE wipes the array it gets here after use. */
  @Override
  public byte[] getEncoded() {
    return bytes.clone();
  }

  @Override
  public void destroy() {
    destroyed = true;
    Arrays.fill(bytes, (byte) 0);
  }

  @Override
  public boolean isDestroyed() {
    return destroyed;
  }

  private void writeObject(java.io.ObjectOutputStream out) throws java.io.IOException {
    throw new java.io.NotSerializableException("keys are not serializable");
  }

  @Override
  public String toString() {
    return "WipeableKey[" + algorithm + "]";
  }
}
