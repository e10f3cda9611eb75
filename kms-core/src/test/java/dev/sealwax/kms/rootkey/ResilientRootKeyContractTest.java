package dev.sealwax.kms.rootkey;

import dev.sealwax.kms.testkit.RootKeyContract;
import java.nio.file.Path;
import org.junit.jupiter.api.io.TempDir;

/** What guards a root key changes nothing of what it is. */
final class ResilientRootKeyContractTest extends RootKeyContract {
  @TempDir Path directory;

  @Override
  protected RootKey openRootKey() {
    return guarded("root.key");
  }

  @Override
  protected RootKey openOtherRootKey() {
    return guarded("other.key");
  }

  private RootKey guarded(String file) {
    return ResilientRootKey.around(TestRootKeys.openOrCreate(directory.resolve(file)));
  }
}
