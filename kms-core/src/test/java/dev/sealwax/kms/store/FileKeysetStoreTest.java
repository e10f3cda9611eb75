package dev.sealwax.kms.store;

import dev.sealwax.kms.testkit.KeysetStoreContract;
import java.nio.file.Path;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.io.TempDir;

@DisplayName("FileKeysetStore")
final class FileKeysetStoreTest extends KeysetStoreContract {
  @TempDir Path parent;

  @Override
  protected KeysetStore openEmptyStore() {
    return FileKeysetStore.at(parent.resolve("keysets"));
  }
}
