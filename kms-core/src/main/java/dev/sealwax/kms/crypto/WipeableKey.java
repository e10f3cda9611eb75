package dev.sealwax.kms.crypto;

import java.lang.invoke.VarHandle;
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
  private volatile boolean destroyed;

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

  /**
   * A copy: SunJCE wipes the array it gets here after use.
   *
   * @throws IllegalStateException if destroyed; a wiped key must never be taken for a key of zeros
   */
  @Override
  public byte[] getEncoded() {
    byte[] copy = bytes.clone();
    // destroy() announces itself before it wipes, so a copy with a wiped byte in it is seen here.
    VarHandle.acquireFence();
    if (destroyed) {
      Arrays.fill(copy, (byte) 0);
      throw new IllegalStateException("the key has been wiped");
    }
    return copy;
  }

  @Override
  public void destroy() {
    destroyed = true;
    VarHandle.fullFence();
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
