package dev.sealwax.kms.examples.remote;

import dev.sealwax.kms.examples.InputException;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.KmsException;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/**
 * Runs an example of this package, in a directory that is gone afterwards, and says how it ended.
 */
final class RemoteExample {
  /** An example; true if all went as it should. */
  interface Work {
    boolean run(Path directory, List<String> arguments, PrintStream out)
        throws IOException, InterruptedException;
  }

  private RemoteExample() {}

  /** Exit code: 0 as it should be; 1 not; 2 wrong arguments, or a part that is not installed. */
  static int run(
      String usage, List<String> arguments, Work work, PrintStream out, PrintStream err) {
    if (arguments.contains("--help")) {
      out.println(usage);
      return 0;
    }
    try {
      Path directory = Files.createTempDirectory("sealwax-remote");
      try {
        return work.run(directory, arguments, out) ? 0 : 1;
      } finally {
        delete(directory);
      }
    } catch (InputException e) {
      err.println(e.getMessage() + "\n\n" + usage);
      return 2;
    } catch (KmsException | IOException e) {
      err.println("FAILED: " + e.getMessage());
    } catch (InterruptedException e) {
      err.println("FAILED: interrupted");
    }
    return 1;
  }

  private static void delete(Path directory) throws IOException {
    List<Path> files;
    try (Stream<Path> all = Files.walk(directory)) {
      files = all.sorted(Comparator.reverseOrder()).toList(); // what is in a directory before it
    }
    for (Path file : files) {
      Files.delete(file);
    }
  }

  static void main(String usage, String[] arguments, Work work) {
    int exitCode = run(usage, List.of(arguments), work, System.out, System.err);
    if (exitCode != 0) {
      System.exit(exitCode);
    }
  }

  /** In earnest these bytes come from a secret manager. */
  static KeyMaterial sealingKey() {
    return KeyMaterial.copyOf(new byte[32]);
  }
}
