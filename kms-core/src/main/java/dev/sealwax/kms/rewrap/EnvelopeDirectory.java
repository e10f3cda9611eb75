package dev.sealwax.kms.rewrap;

import dev.sealwax.kms.envelope.EnvelopeInfo;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
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
 * Files below a directory, by id: the names on the way joined by slashes. Reads and writes headers;
 * {@link WholeEnvelopeFiles} writes whole envelopes. Never follows a symbolic link below the
 * directory's own path. Safe for any thread, for different files.
 */
record EnvelopeDirectory(Path root) {
  private static final Set<OpenOption> READ =
      Set.of(StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS);
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

  /**
   * The record of a file that was listed.
   *
   * @throws NoSuchFileException if there is nothing any more that could be a record
   */
  EnvelopeRecord read(Path file) throws IOException {
    String id = id(file);
    if (!isReachable(file, id)) {
      return EnvelopeRecord.unreadable(id);
    }
    try (InputStream in = Files.newInputStream(file, LinkOption.NOFOLLOW_LINKS)) {
      return EnvelopeRecord.of(id, in.readNBytes(EnvelopeInfo.MAX_HEADER_BYTES));
    } catch (AccessDeniedException e) {
      return EnvelopeRecord.unreadable(id);
    } catch (IOException e) {
      return switch (found(root, file)) {
        case FILE -> throw e;
        // It hides files that the scan has not listed.
        case DIRECTORY -> EnvelopeRecord.unreadable(id);
        case OTHER -> throw new NoSuchFileException(file.toString());
      };
    }
  }

  /** What stands in a place. */
  enum Found {
    FILE,
    DIRECTORY,
    /** Nothing, or nothing that is followed. */
    OTHER
  }

  /**
   * What stands at a path below the root, where the names on the way may have become anything.
   *
   * @throws IOException if that cannot be told; it is never taken for nothing
   */
  static Found found(Path root, Path file) throws IOException {
    Path place = root;
    Found found = Found.DIRECTORY;
    for (Path name : root.relativize(file)) {
      if (found != Found.DIRECTORY) {
        return Found.OTHER;
      }
      place = place.resolve(name);
      try {
        BasicFileAttributes attributes =
            Files.readAttributes(place, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
        found =
            attributes.isDirectory()
                ? Found.DIRECTORY
                : attributes.isRegularFile() ? Found.FILE : Found.OTHER;
      } catch (NoSuchFileException e) {
        return Found.OTHER;
      }
    }
    return found;
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
      return found(root, file) == Found.FILE ? read(file) : null;
    } catch (NoSuchFileException e) {
      return null;
    } catch (AccessDeniedException e) {
      return EnvelopeRecord.unreadable(id);
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
    return replacing(
        change.record(),
        file -> {
          Object before = key(file);
          try (FileChannel channel = openToWrite(file);
              FileLock lock = lock(channel)) {
            int length = change.newHeader().length;
            if (lock == null
                || !Arrays.equals(start(channel, length), change.oldHeader())
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
        });
  }

  /** A file that may not be changed, for whatever reason. */
  static final class RefusedException extends IOException {
    private static final long serialVersionUID = 1L;

    RefusedException(Path file, FileSystemException cause) {
      super(file.toString(), cause);
    }
  }

  /** A change of one file. */
  interface Replacing {
    ReplaceOutcome of(Path file) throws IOException;
  }

  /** Tells failures that are one record's from those that are the directory's, which it throws. */
  ReplaceOutcome replacing(EnvelopeRecord record, Replacing change) throws IOException {
    Path file;
    try {
      file = file(record.id());
    } catch (NoSuchFileException e) {
      return ReplaceOutcome.GONE;
    }
    try {
      return change.of(file);
    } catch (RefusedException e) {
      return ReplaceOutcome.REFUSED;
    } catch (FileSystemException e) {
      // Not every file that is missing is the record's.
      if (found(root, file) != Found.FILE) {
        return ReplaceOutcome.GONE;
      }
      throw e;
    }
  }

  /**
   * Opens a file to be changed.
   *
   * @throws RefusedException if this file is not to be written
   */
  static FileChannel openToWrite(Path file) throws IOException {
    try {
      return FileChannel.open(file, READ_WRITE);
    } catch (NoSuchFileException e) {
      throw e;
    } catch (AccessDeniedException e) {
      throw new RefusedException(file, e);
    } catch (FileSystemException e) {
      // Marked as immutable, a program that runs, a part that is mounted for reading. What is
      // wrong with the whole directory would keep it from being read as well.
      FileChannel.open(file, READ).close();
      if (!Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
        throw e;
      }
      throw new RefusedException(file, e);
    }
  }

  /**
   * Puts a header back if what is there is torn.
   *
   * @return whether it was
   */
  boolean mend(String id, byte[] header, Predicate<byte[]> torn) throws IOException {
    Path file = file(id);
    if (found(root, file) != Found.FILE) {
      throw new NoSuchFileException(file.toString());
    }
    // For reading first: a file that nobody may write was not written.
    try (FileChannel channel = FileChannel.open(file, READ)) {
      if (!torn.test(start(channel, header.length))) {
        return false;
      }
    }
    try (FileChannel channel = FileChannel.open(file, READ_WRITE)) {
      DurableFiles.writeAt(channel, 0, header);
      channel.force(false);
      return true;
    }
  }

  /** Locks an open file against others who ask for its lock; null if one of them has it. */
  static @Nullable FileLock lock(FileChannel channel) throws IOException {
    try {
      return channel.tryLock();
    } catch (OverlappingFileLockException e) {
      return null; // held by another thread of this process
    }
  }

  /** The first bytes of an open file, fewer if it is shorter. */
  static byte[] start(FileChannel channel, int length) throws IOException {
    ByteBuffer in = ByteBuffer.allocate(length);
    while (in.hasRemaining() && channel.read(in, in.position()) >= 0) {
      // a channel may return less than asked for
    }
    return Arrays.copyOf(in.array(), in.position());
  }

  /** Tells files apart that take turns at one path. */
  static Object key(Path file) throws IOException {
    BasicFileAttributes attributes =
        Files.readAttributes(file, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
    if (!attributes.isRegularFile()) {
      throw new NoSuchFileException(file.toString());
    }
    Object key = attributes.fileKey();
    return key != null ? key : attributes.creationTime();
  }
}
