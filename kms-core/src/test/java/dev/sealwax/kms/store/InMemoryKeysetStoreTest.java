package dev.sealwax.kms.store;

import dev.sealwax.kms.testkit.KeysetStoreContract;
import org.junit.jupiter.api.DisplayName;

@DisplayName("InMemoryKeysetStore")
final class InMemoryKeysetStoreTest extends KeysetStoreContract {
  @Override
  protected KeysetStore openEmptyStore() {
    return InMemoryKeysetStore.create();
  }
}
