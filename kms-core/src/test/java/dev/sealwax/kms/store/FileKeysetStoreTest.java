package dev.sealwax.kms.store;

import dev.sealwax.kms.testkit.WatchableKeysetStoreContract;
import java.nio.file.Path;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.io.TempDir;

@DisplayName("FileKeysetStore")
final class FileKeysetStoreTest extends WatchableKeysetStoreContract {
  @TempDir Path parent;

  @Override
  protected WatchableKeysetStore openEmptyStore() {
    return FileKeysetStore.at(parent.resolve("keysets"));
  }
}
