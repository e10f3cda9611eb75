package dev.sealwax.kms.rootkey;

import dev.sealwax.kms.testkit.RootKeyContract;
import java.nio.file.Path;
import org.junit.jupiter.api.io.TempDir;

/** [LRK-13] [LRK-16] [LRK-17] as far as they hold for any root key. */
final class LocalRootKeyContractTest extends RootKeyContract {
  @TempDir Path directory;

  @Override
  protected RootKey openRootKey() {
    return openOrCreate("root.key");
  }

  @Override
  protected RootKey openOtherRootKey() {
    return openOrCreate("other.key");
  }

  private RootKey openOrCreate(String name) {
    return TestRootKeys.openOrCreate(directory.resolve(name));
  }
}
