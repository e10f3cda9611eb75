package dev.sealwax.kms.rootkey;

import dev.sealwax.kms.process.ChildJvm;
import dev.sealwax.kms.process.Scripts;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/**
 * A process that creates a root key file and seals it anew, to be killed, starved of its disk, or
 * kept from writing.
 */
final class RootKeyChild {
  /** Says that the file has been created, or sealed anew. */
  static final String ACK = "ack";

  private RootKeyChild() {}

  /** {@code scripts SCRATCH} for {@link Scripts}, or {@code attempts FILE...}. */
  public static void main(String[] args) throws Exception {
    switch (args[0]) {
      case "scripts" -> Scripts.serve(Path.of(args[1]), RootKeyChild::script);
      case "attempts" -> {
        for (String file : Arrays.asList(args).subList(1, args.length)) {
          attempts(Path.of(file));
        }
      }
      default -> throw new IllegalArgumentException(args[0]);
    }
  }

  /** The command that runs this class in a small JVM. */
  static List<String> command(String... args) {
    return ChildJvm.command(RootKeyChild.class, List.of(org.slf4j.Logger.class), args);
  }

  static Path fileIn(Path directory) {
    return directory.resolve("root.key");
  }

  static KeyMaterial sealingKey(int number) {
    byte[] key = new byte[32];
    Arrays.fill(key, (byte) number);
    return KeyMaterial.owning(key);
  }

  /**
   * Creates a root key sealed by sealing key 1 and changes that to 2; what fails is reported and,
   * unless the new state is there all the same, done again.
   */
  private static void script(Path directory, PrintStream out) throws IOException {
    if (Files.notExists(directory)) { // or making it would be a call of the script
      Files.createDirectory(directory);
    }
    Path file = fileIn(directory);
    try (KeyMaterial first = sealingKey(1);
        KeyMaterial second = sealingKey(2)) {
      insist(out, () -> LocalRootKey.create(file, first).close(), file, first);
      insist(out, () -> LocalRootKey.changeSealingKey(file, first, second), file, second);
    }
  }

  private static void insist(PrintStream out, Runnable change, Path file, KeyMaterial after) {
    try {
      change.run();
    } catch (RootKeyException e) {
      out.println("fail " + e.reason() + " " + e.getMessage());
      if (!opens(file, after)) {
        change.run();
      }
    }
    out.println(ACK);
  }

  private static boolean opens(Path file, KeyMaterial sealingKey) {
    try (RootKey opened = LocalRootKey.open(file, sealingKey)) {
      return true;
    } catch (RootKeyException e) {
      return false;
    }
  }

  /** Tells what can be done with a file sealed by sealing key 1, and beside it. */
  private static void attempts(Path file) {
    try (KeyMaterial first = sealingKey(1);
        KeyMaterial second = sealingKey(2)) {
      attempt("open", () -> use(file, first));
      attempt("change", () -> LocalRootKey.changeSealingKey(file, first, second));
      attempt("create", () -> LocalRootKey.create(file.resolveSibling("new.key"), first).close());
    }
  }

  private static void use(Path file, KeyMaterial sealingKey) {
    EncryptionContext context = EncryptionContext.of("keyset", "orders");
    try (RootKey opened = LocalRootKey.open(file, sealingKey)) {
      opened.unwrap(opened.wrap(sealingKey, context), context).close();
    }
  }

  private static void attempt(String what, Runnable call) {
    try {
      call.run();
      System.out.println(what + " done");
    } catch (RootKeyException e) {
      System.out.println(what + " " + e.reason());
    }
  }
}
