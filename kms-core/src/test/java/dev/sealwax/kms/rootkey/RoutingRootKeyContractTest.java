package dev.sealwax.kms.rootkey;

import dev.sealwax.kms.testkit.RootKeyContract;
import java.nio.file.Path;
import org.junit.jupiter.api.io.TempDir;

final class RoutingRootKeyContractTest extends RootKeyContract {
  @TempDir Path directory;

  @Override
  protected RootKey openRootKey() {
    return RoutingRootKey.of(openOrCreate("current.key"), openOrCreate("former.key"));
  }

  @Override
  protected RootKey openOtherRootKey() {
    return RoutingRootKey.of(openOrCreate("other.key"));
  }

  private RootKey openOrCreate(String name) {
    return TestRootKeys.openOrCreate(directory.resolve(name));
  }
}
