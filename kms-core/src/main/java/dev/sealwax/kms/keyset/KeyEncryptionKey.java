package dev.sealwax.kms.keyset;

import dev.sealwax.kms.vocabulary.DecryptionFailedException;

/** SEAM. */
public final class KeyEncryptionKey {
  private final int version;

  KeyEncryptionKey(int version) {
    this.version = version;
  }

  public int version() {
    return version;
  }

  /** 40 bytes. */
  public byte[] wrap(byte[] dataKey) {
    throw new UnsupportedOperationException();
  }

  /**
   * @throws DecryptionFailedException if not authentic
   */
  public byte[] unwrap(byte[] in, int offset) {
    throw new UnsupportedOperationException();
  }
}
