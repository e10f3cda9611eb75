package dev.sealwax.kms.rewrap;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The files below a directory, each an envelope: streams and messages of any length, of which only
 * the first 146 bytes are read and only the header is written, in place.
 *
 * <p><b>Crashes.</b> Before the headers of a batch are written, a journal with the old and new ones
 * is on the disk; opening the directory again mends what a crash has torn. So a file opens before
 * and after, but an unlucky one in between does not until then: after a power failure, open the
 * source (or run the job) before the application. A process that is merely killed tears nothing on
 * the usual file systems.
 *
 * <p><b>Concurrent writers.</b> A file that the application replaces by rename is safe. Who
 * overwrites a file in place has to hold a {@code FileChannel} lock on it meanwhile, or may find a
 * new body under the old header's data key: between our last look at the header and our write are
 * some microseconds. One job at a time works in a directory; a second is refused.
 *
 * <p><b>Re-encryption.</b> A record of a compromised version is written to another file in the
 * directory, forced to the disk, and renamed over the old one, with its owner, group and
 * permissions; hard links are parted. Access control lists and extended attributes are not kept:
 * where a list narrows what the group's permissions seem to say, the new file is open to the group,
 * so do not use this there. A record on another file system than the directory's is refused.
 *
 * <p>Let the application pause its writing to the directory while such a job runs: a renaming
 * cannot be made to depend on what it replaces. Most of what an application does meanwhile is
 * noticed, and the record judged anew. Lost is what it does in the microseconds between our last
 * look and our renaming; and what it writes into a file that it has opened before and locked only
 * after our renaming, because that file is no longer the one at that path. So who must write has to
 * take a {@code FileChannel} lock on the file, then see that the path still leads to it, and else
 * begin anew; in the JVM of the job a lock that is ours throws {@code
 * OverlappingFileLockException}, and closing any channel of the file gives up our lock. Only
 * accounts that are trusted may rename directories below this one.
 *
 * <p>Symbolic links are not followed, and files of ours, {@code .sealwax-rewrap*}, are not
 * envelopes. Needs write permission for the directory itself. Safe for concurrent use as {@link
 * EnvelopeSource} says.
 */
public final class DirectoryEnvelopeSource implements WholeEnvelopeSource {
  private static final Logger LOG = LoggerFactory.getLogger(DirectoryEnvelopeSource.class);

  /**
   * The directories that are open in this JVM. A second opening must not come to the lock file:
   * closing any channel of a file drops all locks that the process has on it (POSIX).
   */
  private static final Set<Path> OPEN = ConcurrentHashMap.newKeySet();

  private static final Set<OpenOption> LOCK =
      Set.of(StandardOpenOption.CREATE, StandardOpenOption.WRITE, LinkOption.NOFOLLOW_LINKS);

  private final EnvelopeDirectory directory;
  private final WholeEnvelopeFiles wholeEnvelopes;
  private final Predicate<Path> wanted;
  private final FileChannel lockFile;

  // Where the last scan stopped, so that the next need not look for its place; for one thread.
  private @Nullable EnvelopeFiles files;
  private @Nullable String position;

  private DirectoryEnvelopeSource(
      EnvelopeDirectory directory, Predicate<Path> wanted, FileChannel lockFile) {
    this.directory = directory;
    this.wholeEnvelopes = new WholeEnvelopeFiles(directory);
    this.wanted = wanted;
    this.lockFile = lockFile;
  }

  /**
   * Opens a directory with all its files, and mends what a crash has left.
   *
   * @throws IOException if it cannot be read or written, or another job works in it
   */
  public static DirectoryEnvelopeSource of(Path directory) throws IOException {
    return of(directory, file -> true);
  }

  /**
   * Opens a directory with those of its files that are wanted, and mends what a crash has left.
   *
   * @param wanted asked with the path below the directory; must always answer the same
   * @throws IOException if it cannot be read or written, or another job works in it
   */
  public static DirectoryEnvelopeSource of(Path directory, Predicate<Path> wanted)
      throws IOException {
    Objects.requireNonNull(directory, "directory");
    Objects.requireNonNull(wanted, "wanted");
    EnvelopeDirectory opened = new EnvelopeDirectory(directory.toRealPath());
    if (!OPEN.add(opened.root())) {
      throw inUse(opened.root());
    }
    boolean done = false;
    try {
      DirectoryEnvelopeSource source = open(opened, wanted);
      done = true;
      return source;
    } finally {
      if (!done) {
        OPEN.remove(opened.root());
      }
    }
  }

  private static DirectoryEnvelopeSource open(EnvelopeDirectory opened, Predicate<Path> wanted)
      throws IOException {
    Path lockPath = opened.root().resolve(HeaderJournal.PREFIX + ".lock");
    FileChannel lockFile = FileChannel.open(lockPath, LOCK, DurableFiles.ownerOnly(lockPath));
    boolean done = false;
    try {
      requireLock(lockFile, opened.root());
      new WholeEnvelopeFiles(opened).deleteUnfinished();
      int mended = HeaderJournal.recoverAll(opened);
      if (mended > 0) {
        LOG.info("{}: {} torn headers put back after a crash", opened.root(), mended);
      }
      done = true;
      return new DirectoryEnvelopeSource(opened, wanted, lockFile);
    } finally {
      if (!done) {
        lockFile.close();
      }
    }
  }

  private static IOException inUse(Path root) {
    return new IOException("another job rewraps " + root + "; wait for it");
  }

  private static void requireLock(FileChannel lockFile, Path root) throws IOException {
    FileLock lock;
    try {
      lock = lockFile.tryLock();
    } catch (OverlappingFileLockException e) {
      lock = null;
    }
    if (lock == null) {
      throw inUse(root);
    }
  }

  @Override
  public String identity() {
    return "files/" + directory.root();
  }

  /** Unknown: counting would take as long as scanning. */
  @Override
  public OptionalLong size() {
    return OptionalLong.empty();
  }

  @Override
  public List<EnvelopeRecord> scan(@Nullable String after, int limit) throws IOException {
    EnvelopeFiles walk = files;
    if (walk == null || after == null || !after.equals(position)) {
      walk =
          EnvelopeFiles.after(
              directory.root(), wanted, after == null ? null : EnvelopeDirectory.names(after));
    }
    files = null; // unless this comes to a good end
    List<EnvelopeRecord> page = new ArrayList<>();
    while (page.size() < limit) {
      Path file = walk.next();
      if (file == null) {
        break;
      }
      try {
        page.add(directory.read(file));
      } catch (NoSuchFileException e) {
        // gone since it was listed
      }
    }
    files = walk;
    position = page.isEmpty() ? after : page.get(page.size() - 1).id();
    return page;
  }

  @Override
  public Optional<EnvelopeRecord> read(String id) throws IOException {
    Objects.requireNonNull(id, "id");
    return Optional.ofNullable(directory.read(id));
  }

  @Override
  public List<ReplaceOutcome> replaceHeaders(List<HeaderChange> changes) throws IOException {
    Objects.requireNonNull(changes, "changes");
    HeaderJournal journal = HeaderJournal.write(directory.root(), changes);
    List<ReplaceOutcome> outcomes = new ArrayList<>();
    try {
      for (HeaderChange change : changes) {
        outcomes.add(directory.replace(change));
      }
    } catch (IOException | RuntimeException e) {
      undo(journal, e);
      throw e;
    }
    journal.delete();
    return outcomes;
  }

  @Override
  public ReplaceOutcome replaceEnvelope(EnvelopeRecord record, Replacement replacement)
      throws IOException {
    Objects.requireNonNull(record, "record");
    Objects.requireNonNull(replacement, "replacement");
    return wholeEnvelopes.replace(record, replacement);
  }

  /** Should that fail as well, the journal stays, and whoever opens the directory next mends. */
  private void undo(HeaderJournal journal, Exception failure) {
    boolean interrupted = Thread.interrupted(); // channels do not work for an interrupted thread
    try {
      journal.undo(directory);
    } catch (IOException e) {
      failure.addSuppressed(e);
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /** Lets other jobs into the directory. */
  @Override
  public void close() throws IOException {
    if (lockFile.isOpen()) {
      try (lockFile) {
        OPEN.remove(directory.root());
      }
    }
  }

  @Override
  public String toString() {
    return "DirectoryEnvelopeSource[" + directory.root() + "]";
  }
}
