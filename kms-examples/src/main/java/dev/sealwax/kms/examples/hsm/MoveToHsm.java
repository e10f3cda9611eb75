package dev.sealwax.kms.examples.hsm;

import dev.sealwax.kms.examples.MoveToNewRootKey;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.List;

/**
 * Moves keysets from a root key in a file into an HSM. What is wrapped anew are key versions;
 * envelopes stay as they are. Arguments as those of {@link HsmQuickStart}.
 */
public final class MoveToHsm {
  private MoveToHsm() {}

  public static void main(String[] args) throws Exception {
    HsmExample.main(MoveToHsm.class, args, MoveToHsm::run);
  }

  static void run(HsmKey key, Path directory, List<String> options, PrintStream out) {
    out.printf("into            %s%n", key.description());
    MoveToNewRootKey.run(directory, key::open, out);
  }
}
