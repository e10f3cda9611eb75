package dev.sealwax.kms.keyset;

import dev.sealwax.kms.crypto.KeyWrap;
import dev.sealwax.kms.vocabulary.DecryptionFailedException;

/**
 * One unwrapped key version: wraps and unwraps data keys.
 *
 * <p>Owned by the cache it comes from and lent for one call by {@link
 * OpenKeyset#withKeyEncryptionKey}. Safe for any thread, also while its owner closes it.
 */
public final class KeyEncryptionKey implements AutoCloseable {
  /** Size of a wrapped data key, in bytes. */
  public static final int WRAPPED_BYTES = KeyWrap.WRAPPED_BYTES;

  private final int version;
  private final KeyWrap keyWrap;

  KeyEncryptionKey(int version, KeyWrap keyWrap) {
    this.version = version;
    this.keyWrap = keyWrap;
  }

  /** The number of the version in its keyset. */
  public int version() {
    return version;
  }

  /**
   * Wraps a data key of 32 bytes.
   *
   * @return {@link #WRAPPED_BYTES} bytes
   */
  public byte[] wrap(byte[] dataKey) {
    return keyWrap.wrap(dataKey);
  }

  /**
   * Unwraps the {@link #WRAPPED_BYTES} bytes at {@code offset}.
   *
   * @return the data key, which the caller wipes
   * @throws DecryptionFailedException if they were not wrapped under this version
   */
  public byte[] unwrap(byte[] in, int offset) {
    return keyWrap.unwrap(in, offset);
  }

  /** For the owner: wipes the key. A call under way still ends well. */
  @Override
  public void close() {
    keyWrap.close();
  }
}
