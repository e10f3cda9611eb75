package dev.sealwax.kms.testkit;

import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.rootkey.TestRootKeys;
import java.nio.file.Path;
import org.junit.jupiter.api.io.TempDir;

/** What only forwards is as good as what it forwards to. */
final class ForwardingRootKeyTest extends RootKeyContract {
  @TempDir Path directory;

  @Override
  protected RootKey openRootKey() {
    return new ForwardingRootKey(TestRootKeys.openOrCreate(directory.resolve("root.key"))) {};
  }

  @Override
  protected RootKey openOtherRootKey() {
    return new ForwardingRootKey(TestRootKeys.openOrCreate(directory.resolve("other.key"))) {};
  }
}
