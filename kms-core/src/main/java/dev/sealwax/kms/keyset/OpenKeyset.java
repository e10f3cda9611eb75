package dev.sealwax.kms.keyset;

import dev.sealwax.kms.vocabulary.KeysetId;
import java.util.function.Function;

/** SEAM. */
public final class OpenKeyset {
  private final KeysetId id;

  OpenKeyset(KeysetId id) {
    this.id = id;
  }

  public KeysetId id() {
    return id;
  }

  public Keyset snapshot(int wantedVersion) {
    throw new UnsupportedOperationException();
  }

  public KeyEncryptionKey keyEncryptionKey(Keyset snapshot, int version) {
    throw new UnsupportedOperationException();
  }

  public <T> T withKeyEncryptionKey(
      Keyset snapshot, int version, Function<KeyEncryptionKey, T> use) {
    throw new UnsupportedOperationException();
  }
}
