package dev.sealwax.kms.keyset;

import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.rootkey.RootKeyId;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;

/** Two root keys behind one: wraps with the second, unwraps with whichever owns the id. */
record RoutedRootKey(RootKey old, RootKey current) implements RootKey {
  @Override
  public RootKeyId currentKeyId() {
    return current.currentKeyId();
  }

  @Override
  public WrappedKey wrap(KeyMaterial key, EncryptionContext context) {
    return current.wrap(key, context);
  }

  @Override
  public KeyMaterial unwrap(WrappedKey wrapped, EncryptionContext context) {
    RootKey owner = wrapped.rootKeyId().equals(old.currentKeyId()) ? old : current;
    return owner.unwrap(wrapped, context);
  }

  @Override
  public void close() {}
}
