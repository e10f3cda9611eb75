package dev.sealwax.kms.testkit;

import dev.sealwax.kms.store.InMemoryKeysetStore;
import dev.sealwax.kms.store.KeysetStore;

/** What only forwards is as good as what it forwards to. */
final class ForwardingKeysetStoreTest extends KeysetStoreContract {
  @Override
  protected KeysetStore openEmptyStore() {
    return new ForwardingKeysetStore(InMemoryKeysetStore.create()) {};
  }
}
