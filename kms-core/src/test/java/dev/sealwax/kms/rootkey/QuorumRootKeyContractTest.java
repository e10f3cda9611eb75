package dev.sealwax.kms.rootkey;

import dev.sealwax.kms.testkit.RootKeyContract;
import java.nio.file.Path;
import org.junit.jupiter.api.io.TempDir;

final class QuorumRootKeyContractTest extends RootKeyContract {
  @TempDir Path directory;

  @Override
  protected RootKey openRootKey() {
    return QuorumRootKey.builder().member(key("one")).member(key("two")).required(1).build();
  }

  @Override
  protected RootKey openOtherRootKey() {
    return QuorumRootKey.builder().member(key("three")).member(key("four")).build();
  }

  private RootKey key(String name) {
    return TestRootKeys.openOrCreate(directory.resolve(name));
  }
}
