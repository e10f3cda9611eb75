package dev.sealwax.kms.store;

import dev.sealwax.kms.testkit.WatchableKeysetStoreContract;
import org.junit.jupiter.api.DisplayName;

@DisplayName("InMemoryKeysetStore")
final class InMemoryKeysetStoreTest extends WatchableKeysetStoreContract {
  @Override
  protected WatchableKeysetStore openEmptyStore() {
    return InMemoryKeysetStore.create();
  }
}
