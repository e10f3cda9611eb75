package dev.sealwax.kms.examples;

import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.io.Closeable;
import java.io.Console;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** Where a run keeps its keys and puts its results; belongs to one run at a time. */
final class WorkDirectory implements Closeable {
  /** Stands in for a passphrase when nobody gives one. Everybody knows it: no protection. */
  static final String DEMO_PASSPHRASE = "sealwax demo, protects nothing";

  private final Path directory;
  private final FileChannel lockFile;

  private WorkDirectory(Path directory, FileChannel lockFile) {
    this.directory = directory;
    this.lockFile = lockFile;
  }

  /** Makes the directory, for its owner only, unless it is there. */
  static WorkDirectory open(Path directory) throws IOException {
    try {
      Files.createDirectories(
          directory,
          PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
    } catch (FileAlreadyExistsException e) {
      throw new InputException(directory + " is a file; --work must be a directory");
    }
    FileChannel lockFile =
        FileChannel.open(
            directory.resolve(".lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    @Nullable FileLock lock = lockFile.tryLock();
    if (lock == null) {
      lockFile.close();
      throw new InputException(directory + " is in use by another run");
    }
    WorkDirectory work = new WorkDirectory(directory, lockFile);
    Files.createDirectories(work.sealed());
    return work;
  }

  Path path() {
    return directory;
  }

  Path keysets() {
    return directory.resolve("keysets");
  }

  Path sealed() {
    return directory.resolve("sealed");
  }

  /** Opens the root key; creates it if there is none. */
  RootKey rootKey(Terminal terminal) {
    Path file = directory.resolve("root.key");
    boolean exists = Files.exists(file);
    char[] passphrase = passphrase(terminal, exists);
    try {
      return exists ? LocalRootKey.open(file, passphrase) : LocalRootKey.create(file, passphrase);
    } catch (IllegalArgumentException e) {
      throw new InputException(String.valueOf(e.getMessage()));
    } catch (RootKeyException e) {
      if (!exists || e.reason() != RootKeyException.Reason.ACCESS_DENIED) {
        throw e;
      }
      throw new InputException(
          e.getMessage()
              + "; if it is the passphrase, give that of the run that made it (by"
              + " SEALWAX_PASSPHRASE or at the prompt; neither for the demo's), or choose another"
              + " --work");
    } finally {
      Arrays.fill(passphrase, '\0');
    }
  }

  private static char[] passphrase(Terminal terminal, boolean exists) {
    String given = terminal.passphrase();
    if (given != null) {
      return given.toCharArray();
    }
    Console console = terminal.console();
    if (console != null) {
      char[] typed =
          console.readPassword(
              "passphrase of the %s root key (Enter for the demo's): ", exists ? "old" : "new");
      if (typed != null && typed.length > 0) {
        if (!exists && !Arrays.equals(typed, console.readPassword("once more: "))) {
          throw new InputException("the two passphrases differ");
        }
        return typed;
      }
    }
    terminal.warn("WARNING: the root key has the passphrase of the demo, which everybody knows.");
    terminal.warn("         Set SEALWAX_PASSPHRASE (15 characters or more) to protect anything.");
    return DEMO_PASSPHRASE.toCharArray();
  }

  @Override
  public void close() throws IOException {
    lockFile.close();
  }
}
