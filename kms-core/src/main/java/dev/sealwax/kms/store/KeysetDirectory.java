package dev.sealwax.kms.store;

import dev.sealwax.kms.vocabulary.KeysetId;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The files of a {@link FileKeysetStore}: one {@code <name>.json} per keyset, and short-lived
 * {@code .<name>.*.tmp}.
 *
 * <p>Reading is safe for any thread; writing belongs to the holder of the {@link DirectoryLock}.
 * Everything here fails with the platform's {@link IOException}; the store says what it means.
 */
final class KeysetDirectory {
  private static final String SUFFIX = ".json";
  private static final String TEMPORARY_SUFFIX = ".tmp";
  private static final Set<OpenOption> NEW_FILE =
      Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);

  // Longer than any file system's own commit interval (ext4 5 s, XFS 30 s) by far.
  private static final Duration SETTLED = Duration.ofMinutes(2);

  private final Path path;
  private final Object key;

  private KeysetDirectory(Path path, Object key) {
    this.path = path;
    this.key = key;
  }

  /** Opens an existing directory. */
  static KeysetDirectory open(Path directory) throws IOException {
    Path real = directory.toRealPath();
    closeQuietly(listing(real)); // whether it can be read shows here and not in list()
    return new KeysetDirectory(real, DirectoryEntry.keyOf(real));
  }

  /** Equal for every path that leads to this directory. */
  Object key() {
    return key;
  }

  Path lockFile() {
    return path.resolve(".lock");
  }

  Path changesFile() {
    return path.resolve(".changes");
  }

  DirectoryWatch watch() {
    return new DirectoryWatch(path, this::requireSame);
  }

  Path fileOf(KeysetId id) {
    return path.resolve(id + SUFFIX);
  }

  /**
   * Checks that the path still leads to the directory that was opened.
   *
   * <p>Without this a volume that was unmounted under a running process would look like a store
   * without any keysets, and would be written to.
   */
  void requireSame() throws IOException {
    if (!DirectoryEntry.keyOf(path).equals(key)) {
      throw new NoSuchFileException(
          path.toString(), null, "directory was replaced since it was opened");
    }
  }

  boolean isWritable() {
    return Files.isWritable(path);
  }

  /**
   * Reads a file, at most {@code limit} + 1 bytes of it.
   *
   * @return the bytes, or null if there is no such file
   */
  byte @Nullable [] read(Path file, int limit) throws IOException {
    try {
      DirectoryEntry.requireRegular(file);
      // Not a FileChannel: an interrupted thread may still read its keyset.
      try (InputStream in = Files.newInputStream(file, LinkOption.NOFOLLOW_LINKS)) {
        return in.readNBytes(limit + 1);
      }
    } catch (NoSuchFileException e) {
      requireSame();
      return null;
    }
  }

  /**
   * Makes sure that a file which was just read is durable, by syncing the directory if the file is
   * young.
   *
   * <p>Its writer may not have come to that yet, and data encrypted under a key version that a
   * power failure takes back would be lost.
   */
  void settle(Path file) throws IOException {
    long written = DirectoryEntry.requireRegular(file).lastModifiedTime().toMillis();
    if (System.currentTimeMillis() - written < SETTLED.toMillis()) {
      sync();
    }
  }

  /** Writes a new temporary file and forces it to the disk; on failure nothing is left of it. */
  Path writeTemporary(KeysetId id, String document) throws IOException {
    Path temporary = path.resolve("." + id + "." + UUID.randomUUID() + TEMPORARY_SUFFIX);
    boolean written = false;
    try (FileChannel out =
        FileChannel.open(temporary, NEW_FILE, DirectoryEntry.ownerOnlyFile(temporary))) {
      ByteBuffer bytes = ByteBuffer.wrap(document.getBytes(StandardCharsets.US_ASCII));
      while (bytes.hasRemaining()) {
        out.write(bytes);
      }
      out.force(true);
      written = true;
      return temporary;
    } finally {
      if (!written) {
        deleteTemporary(temporary);
      }
    }
  }

  /**
   * Announces what {@link #moveIntoPlace} is about to do; on failure nothing is left of the file.
   */
  void announce(KeysetId id, Path temporary, ChangeJournal journal) throws IOException {
    boolean announced = false;
    try {
      journal.begin(id);
      announced = true;
    } finally {
      if (!announced) {
        deleteTemporary(temporary);
      }
    }
  }

  /**
   * Puts a temporary file in the place of {@code file}, atomically; {@link #sync} makes that
   * durable.
   */
  void moveIntoPlace(Path temporary, Path file) throws IOException {
    boolean moved = false;
    try {
      Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE);
      moved = true;
    } finally {
      if (!moved) {
        deleteTemporary(temporary);
      }
    }
  }

  /**
   * Forces the directory's entries to the disk.
   *
   * <p>A rename is durable only then. Opening a directory as a channel is no documented Java
   * feature, but works on every POSIX platform's JDK; Windows refuses it, and NTFS journals the
   * rename itself.
   */
  void sync() throws IOException {
    sync(path);
  }

  /** Makes the directory itself durable, wherever this process may read the parent. */
  void syncParent() throws IOException {
    Path parent = path.getParent();
    if (parent != null && Files.isReadable(parent)) {
      sync(parent);
    }
  }

  private static void sync(Path directory) throws IOException {
    if (!DirectoryEntry.isPosix(directory)) {
      return;
    }
    boolean interrupted =
        Thread.interrupted(); // a channel would refuse to work for an interrupted thread
    try (FileChannel entries = FileChannel.open(directory, StandardOpenOption.READ)) {
      entries.force(true);
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /**
   * Deletes what killed writers left behind; only the lock's holder knows that no writer is at
   * work.
   */
  void deleteLeftovers() throws IOException {
    forEachName(
        name -> {
          if (name.startsWith(".") && name.endsWith(TEMPORARY_SUFFIX)) {
            deleteTemporary(path.resolve(name));
          }
        });
  }

  /**
   * The {@code limit} lowest names above {@code after}; one pass over the directory, memory for one
   * page.
   */
  List<KeysetId> names(@Nullable KeysetId after, int limit) throws IOException {
    TreeSet<String> page = new TreeSet<>();
    forEachName(
        file -> {
          String name = keysetName(file);
          if (name != null && (after == null || name.compareTo(after.value()) > 0)) {
            page.add(name);
            if (page.size() > limit) {
              page.pollLast();
            }
          }
        });
    requireSame();
    return page.stream().map(KeysetId::of).toList();
  }

  // The name decides, not the kind of file: a directory in the place of a keyset is listed, and
  // loading it says so.
  private static @Nullable String keysetName(String file) {
    if (!file.endsWith(SUFFIX)) {
      return null;
    }
    String stem = file.substring(0, file.length() - SUFFIX.length());
    return KeysetId.isValid(stem) ? stem : null;
  }

  private void forEachName(Consumer<String> action) throws IOException {
    DirectoryStream<Path> files = listing(path);
    try {
      files.forEach(file -> action.accept(String.valueOf(file.getFileName())));
    } catch (DirectoryIteratorException e) {
      throw e.getCause();
    } finally {
      closeQuietly(files);
    }
  }

  @SuppressWarnings("StreamResourceLeak") // both callers close it, but not by try-with-resources
  private static DirectoryStream<Path> listing(Path directory) throws IOException {
    return Files.newDirectoryStream(directory);
  }

  private static void closeQuietly(DirectoryStream<Path> files) {
    try {
      files.close();
    } catch (Exception e) {
      // Everything was read by now. Not only IOException: when close(2) fails, JDK 17 lets its
      // internal checked UnixException through, which is why try-with-resources will not do here.
    }
  }

  static void deleteTemporary(Path temporary) {
    try {
      Files.deleteIfExists(temporary);
    } catch (IOException e) {
      // Harmless: it is no keyset file, and the next store that opens the directory tries again.
    }
  }

  @Override
  public String toString() {
    return path.toString();
  }
}
