package dev.sealwax.kms.rewrap;

import dev.sealwax.kms.envelope.EnvelopeInfo;
import dev.sealwax.kms.rewrap.EnvelopeDirectory.RefusedException;
import java.io.IOException;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.DirectoryStream;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFileAttributeView;
import java.nio.file.attribute.PosixFileAttributes;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * Whole envelopes in the files of a directory: a new one is written to a file of its own and takes
 * the place of the old one by renaming. How a file is found, locked and judged is {@link
 * EnvelopeDirectory}'s. Safe for any thread, for different files.
 */
final class WholeEnvelopeFiles {
  private static final Set<OpenOption> NEW_FILE =
      Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
  private static final String TMP = ".tmp";

  private final EnvelopeDirectory directory;

  WholeEnvelopeFiles(EnvelopeDirectory directory) {
    this.directory = directory;
  }

  /**
   * Puts a new envelope in the place of an old one: writes it to a file of its own, forces that to
   * the disk, and renames it.
   *
   * <p>The lock on the old file is held all the while. An application that does not ask for it
   * loses what it does between the last look and the renaming.
   */
  ReplaceOutcome replace(EnvelopeRecord record, WholeEnvelopeSource.Replacement replacement)
      throws IOException {
    return directory.replacing(
        record,
        file -> {
          Version before = Version.of(file);
          try (FileChannel channel = EnvelopeDirectory.openToWrite(file);
              FileLock lock = EnvelopeDirectory.lock(channel)) {
            if (lock == null
                || !record.hasHeaderOf(
                    EnvelopeDirectory.start(channel, EnvelopeInfo.MAX_HEADER_BYTES))
                || !before.equals(Version.of(file))) {
              return ReplaceOutcome.CHANGED_MEANWHILE;
            }
            Path unfinished =
                directory.root().resolve(HeaderJournal.PREFIX + "." + UUID.randomUUID() + TMP);
            try {
              try (FileChannel out =
                  FileChannel.open(unfinished, NEW_FILE, DurableFiles.ownerOnly(unfinished))) {
                try {
                  replacement.write(
                      Channels.newInputStream(channel), Channels.newOutputStream(out));
                } catch (IOException | RuntimeException e) {
                  if (!before.equals(Version.of(file))) {
                    return ReplaceOutcome.CHANGED_MEANWHILE; // what it read was half of each
                  }
                  throw e;
                }
                copyAccess(file, unfinished);
                out.force(true);
              }
              if (!before.equals(Version.of(file))) {
                return ReplaceOutcome.CHANGED_MEANWHILE;
              }
              rename(unfinished, file);
            } finally {
              Files.deleteIfExists(unfinished);
            }
            DurableFiles.syncDirectoryOf(file);
            return ReplaceOutcome.REPLACED;
          }
        });
  }

  /**
   * What changes if a file is written in place or replaced, or its access changed.
   *
   * @param changed its {@code ctime}, which nobody can set back; null where there is none
   */
  private record Version(Object fileKey, long size, FileTime modified, @Nullable Object changed) {
    static Version of(Path file) throws IOException {
      BasicFileAttributes attributes =
          Files.readAttributes(file, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
      Object changed =
          file.getFileSystem().supportedFileAttributeViews().contains("unix")
              ? Files.getAttribute(file, "unix:ctime", LinkOption.NOFOLLOW_LINKS)
              : null;
      return new Version(
          EnvelopeDirectory.key(file), attributes.size(), attributes.lastModifiedTime(), changed);
    }
  }

  /** Gives a file the owner, group and permissions of another. */
  private static void copyAccess(Path from, Path to) throws IOException {
    PosixFileAttributeView view =
        Files.getFileAttributeView(to, PosixFileAttributeView.class, LinkOption.NOFOLLOW_LINKS);
    if (view == null) {
      return; // nothing of that kind here
    }
    PosixFileAttributes wanted =
        Files.readAttributes(from, PosixFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
    PosixFileAttributes now = view.readAttributes();
    try {
      if (!now.owner().equals(wanted.owner())) {
        view.setOwner(wanted.owner());
      }
      if (!now.group().equals(wanted.group())) {
        view.setGroup(wanted.group());
      }
      view.setPermissions(wanted.permissions());
    } catch (FileSystemException e) {
      throw new RefusedException(from, e); // not ours to give: whoever owns the file has to do it
    }
  }

  private static void rename(Path from, Path to) throws IOException {
    try {
      Files.move(from, to, StandardCopyOption.ATOMIC_MOVE);
    } catch (NoSuchFileException e) {
      throw e;
    } catch (FileSystemException e) {
      if (Files.isDirectory(to, LinkOption.NOFOLLOW_LINKS)) {
        throw e;
      }
      // The disk has just taken the content, so it is about this name: not to be replaced, or on
      // another file system.
      throw new RefusedException(to, e);
    }
  }

  /** Deletes what a crash has left unfinished. Only while no other process works here. */
  void deleteUnfinished() throws IOException {
    List<Path> unfinished = new ArrayList<>();
    try (DirectoryStream<Path> found =
        Files.newDirectoryStream(directory.root(), HeaderJournal.PREFIX + ".*" + TMP)) {
      found.forEach(unfinished::add);
    }
    for (Path each : unfinished) {
      // Whatever else has such a name is none of ours.
      if (Files.isRegularFile(each, LinkOption.NOFOLLOW_LINKS)) {
        Files.deleteIfExists(each);
      }
    }
  }
}
