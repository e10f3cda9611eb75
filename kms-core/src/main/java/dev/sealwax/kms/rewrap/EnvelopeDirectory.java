package dev.sealwax.kms.rewrap;

import dev.sealwax.kms.envelope.EnvelopeInfo;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.StreamSupport;
import org.jspecify.annotations.Nullable;

/**
 * Files below a directory, by id: the names on the way joined by slashes. Reads and writes headers,
 * and nothing behind them. Never follows a symbolic link below the directory's own path. Safe for
 * any thread, for different files.
 */
record EnvelopeDirectory(Path root) {
  private static final Set<OpenOption> READ_WRITE =
      Set.of(StandardOpenOption.READ, StandardOpenOption.WRITE, LinkOption.NOFOLLOW_LINKS);

  String id(Path file) {
    return String.join("/", names(root.relativize(file)));
  }

  private static List<String> names(Path relative) {
    return StreamSupport.stream(relative.spliterator(), false).map(Path::toString).toList();
  }

  static List<String> names(String id) {
    return List.of(id.split("/", -1));
  }

  /**
   * The file of an id. Journals and checkpoints come from the disk, so an id may not lead out.
   *
   * @throws NoSuchFileException if a link is on its way, which is no place of ours
   * @throws IOException if it is no id
   */
  private Path file(String id) throws IOException {
    Path file = root;
    for (String name : names(id)) {
      Path next;
      try {
        next = file.resolve(name);
      } catch (InvalidPathException e) {
        throw new IOException("a record id cannot be a path", e);
      }
      if (name.isEmpty()
          || name.equals(".")
          || name.equals("..")
          || !file.equals(next.getParent())) {
        throw new IOException("a record id leads out of " + root);
      }
      if (Files.isSymbolicLink(next)) {
        throw new NoSuchFileException(next.toString());
      }
      file = next;
    }
    return file;
  }

  EnvelopeRecord read(Path file) throws IOException {
    String id = id(file);
    if (!isReachable(file, id)) {
      return EnvelopeRecord.unreadable(id);
    }
    try (InputStream in = Files.newInputStream(file, LinkOption.NOFOLLOW_LINKS)) {
      return EnvelopeRecord.of(id, in.readNBytes(EnvelopeInfo.MAX_HEADER_BYTES));
    } catch (AccessDeniedException e) {
      return EnvelopeRecord.unreadable(id);
    }
  }

  /** A name in another encoding than this JVM's gets lost on the way through text. */
  private boolean isReachable(Path file, String id) throws IOException {
    try {
      return file(id).equals(file);
    } catch (NoSuchFileException e) {
      throw e;
    } catch (IOException e) {
      return false;
    }
  }

  /** The record of an id, or null if there is no such file any more. */
  @Nullable EnvelopeRecord read(String id) throws IOException {
    try {
      Path file = file(id);
      return Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS) ? read(file) : null;
    } catch (NoSuchFileException e) {
      return null;
    }
  }

  /**
   * Writes a new header over the old one, if that is still there, and forces it to the disk.
   *
   * <p>A file that the application puts in the place of this one, before, during or after, is not
   * touched: what is written to is the file that was opened. An application that writes into the
   * file in place has to hold a lock on it (POSIX {@code fcntl}, {@code FileChannel.lock}), as is
   * done here.
   */
  ReplaceOutcome replace(HeaderChange change) throws IOException {
    try {
      Path file = file(change.record().id());
      Object before = key(file);
      try (FileChannel channel = FileChannel.open(file, READ_WRITE);
          FileLock lock = lock(channel)) {
        int length = change.newHeader().length;
        if (lock == null
            || !Arrays.equals(read(channel, length), change.oldHeader())
            || !before.equals(key(file))) {
          return ReplaceOutcome.CHANGED_MEANWHILE;
        }
        DurableFiles.writeAt(channel, 0, change.newHeader());
        channel.force(false);
        // Replaced while we wrote: what counts now is another file, which we have not moved.
        return before.equals(key(file))
            ? ReplaceOutcome.REPLACED
            : ReplaceOutcome.CHANGED_MEANWHILE;
      }
    } catch (NoSuchFileException e) {
      return ReplaceOutcome.GONE;
    } catch (AccessDeniedException e) {
      return ReplaceOutcome.REFUSED;
    }
  }

  /**
   * Puts a header back if what is there is torn.
   *
   * @return whether it was
   */
  boolean mend(String id, byte[] header, Predicate<byte[]> torn) throws IOException {
    Path file = file(id);
    if (!Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
      throw new NoSuchFileException(file.toString());
    }
    try (FileChannel channel = FileChannel.open(file, READ_WRITE)) {
      if (!torn.test(read(channel, header.length))) {
        return false;
      }
      DurableFiles.writeAt(channel, 0, header);
      channel.force(false);
      return true;
    }
  }

  private static @Nullable FileLock lock(FileChannel channel) throws IOException {
    try {
      return channel.tryLock();
    } catch (OverlappingFileLockException e) {
      return null; // held by another thread of this process
    }
  }

  private static byte[] read(FileChannel channel, int length) throws IOException {
    ByteBuffer in = ByteBuffer.allocate(length);
    while (in.hasRemaining() && channel.read(in, in.position()) >= 0) {
      // a channel may return less than asked for
    }
    return Arrays.copyOf(in.array(), in.position());
  }

  /** Tells files apart that take turns at one path. */
  private static Object key(Path file) throws IOException {
    BasicFileAttributes attributes =
        Files.readAttributes(file, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
    if (!attributes.isRegularFile()) {
      throw new NoSuchFileException(file.toString());
    }
    Object key = attributes.fileKey();
    return key != null ? key : attributes.creationTime();
  }
}
