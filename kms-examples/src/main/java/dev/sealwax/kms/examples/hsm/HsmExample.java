package dev.sealwax.kms.examples.hsm;

import dev.sealwax.kms.examples.InputException;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** Gives an example of this package its HSM: the one of the arguments, or else SoftHSM. */
final class HsmExample {
  /** What an example does with a root key in an HSM. */
  interface Work {
    void run(HsmKey key, Path directory, List<String> options, PrintStream out) throws IOException;
  }

  private HsmExample() {}

  static void main(Class<?> example, String[] arguments, Work work) throws Exception {
    Path directory = Files.createTempDirectory("sealwax-hsm");
    int exitCode = 2;
    try {
      exitCode = run(example, List.of(arguments), work, directory, System.out);
    } catch (InputException | IllegalArgumentException | RootKeyException e) {
      System.err.println(e.getMessage());
    }
    if (exitCode != 0) {
      System.exit(exitCode);
    }
  }

  /** Arguments: the module and the URI of a token, if any, then the options of the example. */
  static int run(
      Class<?> example, List<String> arguments, Work work, Path directory, PrintStream out)
      throws IOException, InterruptedException {
    if (arguments.isEmpty() || arguments.get(0).startsWith("--")) {
      return SoftHsm.run(example, directory, arguments, out);
    }
    if (arguments.size() < 2) {
      throw new InputException("an HSM is named by two arguments: its module, the URI of a token");
    }
    HsmKey key = HsmKey.findOrCreate(Path.of(arguments.get(0)), arguments.get(1));
    work.run(key, directory, arguments.subList(2, arguments.size()), out);
    return 0;
  }
}
