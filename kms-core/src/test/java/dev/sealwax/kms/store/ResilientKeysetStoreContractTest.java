package dev.sealwax.kms.store;

import dev.sealwax.kms.testkit.WatchableKeysetStoreContract;
import org.junit.jupiter.api.DisplayName;

/** A guard changes nothing of what a store does while it does well. */
@DisplayName("ResilientKeysetStore")
final class ResilientKeysetStoreContractTest extends WatchableKeysetStoreContract {
  @Override
  protected WatchableKeysetStore openEmptyStore() {
    return (WatchableKeysetStore) ResilientKeysetStore.around(InMemoryKeysetStore.create());
  }
}
