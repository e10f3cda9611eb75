package dev.sealwax.kms.store;

import dev.sealwax.kms.vocabulary.KeysetConflictException;
import dev.sealwax.kms.vocabulary.KeysetCorruptedException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import dev.sealwax.kms.vocabulary.KeysetStoreException.Reason;
import java.io.IOException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A keyset store in a directory: one file {@code <name>.json} per keyset, readable by its owner
 * only.
 *
 * <p>Safe for concurrent use by threads, by several stores on one directory, and by processes of
 * one machine. (Over a network file system this holds as far as its {@code fcntl} locks do.) Other
 * files in the directory are ignored, except {@code .lock}, which must not be removed while a
 * process writes, {@code .changes}, which tells running processes what was written (they read
 * everything again if it is removed), and {@code .*.tmp}, which are unfinished writes and are
 * deleted by a later writer.
 *
 * <p><b>Reads</b> take no lock and see a document whole, before or after a write. Reading works in
 * a read-only directory, for hosts that only decrypt.
 *
 * <p><b>Writes</b> wait up to ten seconds for the directory's lock, write a temporary file, force
 * it to the disk, rename it over the old one, and force the directory to the disk. Whatever
 * interrupts this, the old or the new document is in place. An interrupted thread fails with {@link
 * Reason#UNAVAILABLE} and keeps its interrupt status.
 *
 * <p><b>Failed syncs.</b> After a failed {@code fsync} the kernel may have dropped the data and
 * report success when asked again. So no document is synced twice: a temporary file whose sync
 * failed is thrown away, and the next attempt starts from a fresh read and a fresh file. If the
 * directory's sync failed, the new document is visible though perhaps not durable: the write is
 * reported as {@link Reason#UNAVAILABLE}, whose remedy is to load again, and for two minutes after
 * a write {@link #load} itself syncs the directory before it hands the document out, in every
 * process.
 *
 * <p><b>Symbolic links</b> are followed on the way to the directory, which the operator names, and
 * never inside it: a link in the place of a keyset file or of {@code .lock} is refused with {@link
 * Reason#INACCESSIBLE}.
 */
public final class FileKeysetStore implements WatchableKeysetStore {
  private static final Logger LOG = LoggerFactory.getLogger(FileKeysetStore.class);
  private static final Duration LOCK_PATIENCE = Duration.ofSeconds(10);

  private final KeysetDirectory directory;
  private final DirectoryLock lock;
  private final ChangeJournal journal;
  private final DirectoryWatch watch;
  private final Duration lockPatience;
  private final AtomicBoolean closed = new AtomicBoolean();
  private boolean prepared; // guarded by lock

  private FileKeysetStore(KeysetDirectory directory, Duration lockPatience) {
    this.directory = directory;
    this.lock = DirectoryLock.join(directory.key());
    this.journal = new ChangeJournal(directory.changesFile());
    this.watch = directory.watch();
    this.lockPatience = lockPatience;
  }

  /**
   * Opens the store of a directory, which is made (for its owner only) if its parent exists. That
   * is logged at INFO: where keysets should have been, the path is wrong or the volume missing.
   *
   * @throws KeysetStoreException if the parent is missing, something else is in the directory's
   *     place, or it cannot be read; mend the path or its permissions
   */
  public static FileKeysetStore at(Path directory) {
    return at(directory, LOCK_PATIENCE);
  }

  static FileKeysetStore at(Path directory, Duration lockPatience) {
    Path absolute = Objects.requireNonNull(directory, "directory").toAbsolutePath().normalize();
    try {
      if (!Files.exists(absolute)) {
        makeDirectory(absolute);
      }
      KeysetDirectory opened = KeysetDirectory.open(absolute);
      warnIfOthersWrite(absolute);
      return new FileKeysetStore(opened, lockPatience);
    } catch (IOException e) {
      throw failure("directory " + absolute + " cannot be used", e, false);
    }
  }

  @Override
  public Optional<StoredKeyset> load(KeysetId id) {
    Objects.requireNonNull(id, "keyset id");
    requireOpen();
    try {
      StoredKeyset keyset = read(id);
      if (keyset == null) {
        return Optional.empty();
      }
      directory.settle(directory.fileOf(id));
      return Optional.of(keyset);
    } catch (IOException e) {
      throw failure("keyset " + id + " cannot be read", e, false);
    }
  }

  @Override
  public void create(StoredKeyset first) {
    Objects.requireNonNull(first, "keyset").requireFirst();
    write(first);
  }

  @Override
  public void replace(StoredKeyset next) {
    Objects.requireNonNull(next, "keyset").requireNotFirst();
    write(next);
  }

  @Override
  public List<KeysetId> list(int limit) {
    return names(null, limit);
  }

  @Override
  public List<KeysetId> listAfter(KeysetId after, int limit) {
    return names(Objects.requireNonNull(after, "keyset id"), limit);
  }

  @Override
  public Position position() {
    requireOpen();
    try {
      directory.requireSame();
      return journal.end();
    } catch (IOException e) {
      throw failure("the changes of " + directory + " cannot be read", e, false);
    }
  }

  @Override
  public Changes changesAfter(Position since) {
    Objects.requireNonNull(since, "position");
    requireOpen();
    try {
      directory.requireSame();
      return journal.after(since);
    } catch (IOException e) {
      throw failure("the changes of " + directory + " cannot be read", e, false);
    }
  }

  @Override
  public void awaitWrite(Duration timeout) throws InterruptedException {
    requireOpen();
    watch.await(Objects.requireNonNull(timeout, "timeout"));
    requireOpen();
  }

  /** Lets go of the directory and ends waits; other calls under way finish. */
  @Override
  public void close() {
    if (!closed.getAndSet(true)) {
      watch.close();
      lock.leave();
    }
  }

  private List<KeysetId> names(@Nullable KeysetId after, int limit) {
    if (limit < 1) {
      throw new IllegalArgumentException("list limit must be at least 1, got " + limit);
    }
    requireOpen();
    try {
      return directory.names(after, limit);
    } catch (IOException e) {
      throw failure("directory " + directory + " cannot be listed", e, false);
    }
  }

  private @Nullable StoredKeyset read(KeysetId id) throws IOException {
    byte[] bytes = directory.read(directory.fileOf(id), StoredKeyset.MAX_DOCUMENT_CHARS);
    if (bytes == null) {
      return null;
    }
    if (bytes.length > StoredKeyset.MAX_DOCUMENT_CHARS) {
      throw new KeysetCorruptedException(
          id, "it is longer than " + StoredKeyset.MAX_DOCUMENT_CHARS + " bytes", null);
    }
    for (int i = 0; i < bytes.length; i++) {
      if (bytes[i] < 0) {
        throw new KeysetCorruptedException(
            id, String.format("byte %02x at offset %d is not ASCII", bytes[i], i), null);
      }
    }
    String document = new String(bytes, StandardCharsets.US_ASCII);
    return new StoredKeyset(id, revisionOf(id, document), document);
  }

  private static long revisionOf(KeysetId id, String document) {
    try {
      return StoredRevision.parse(document)
          .orElseThrow(
              () -> new KeysetCorruptedException(id, "it has no positive integer revision", null));
    } catch (IOException e) {
      throw new KeysetCorruptedException(id, "it is not one well-formed JSON object", e);
    }
  }

  private void write(StoredKeyset next) {
    if (!StoredRevision.isOf(next)) {
      throw new IllegalArgumentException(
          "document of keyset " + next.id() + " does not say revision " + next.revision());
    }
    requireOpen();
    Step step = Step.LOCK;
    try {
      lock.lock(directory.lockFile(), lockPatience);
      try {
        step = Step.CHECK;
        directory.requireSame();
        prepare();
        requireTurn(next);
        step = Step.WRITE;
        Path temporary = directory.writeTemporary(next.id(), next.document());
        directory.announce(next.id(), temporary, journal);
        step = Step.RENAME;
        directory.moveIntoPlace(temporary, directory.fileOf(next.id()));
        step = Step.SYNC;
        directory.sync();
        finish();
      } finally {
        lock.unlock();
      }
    } catch (IOException e) {
      throw failure(
          "keyset " + next.id() + " revision " + next.revision() + ": " + step.outcome,
          e,
          !directory.isWritable());
    }
  }

  // The document is in place and durable; without the dot readers look at it more often than they
  // need to, until the next write.
  private void finish() {
    try {
      journal.finish();
    } catch (IOException e) {
      LOG.debug("the end of a write was not noted in {}", directory, e);
    }
    watch.signal();
  }

  /** How far a write had come when it failed, in the words an operator needs. */
  private enum Step {
    LOCK("nothing was written, no lock"),
    CHECK("nothing was written, the stored keyset cannot be read"),
    WRITE("nothing was written, the new file failed"),
    RENAME("load it again to see whether the write took effect, the rename failed"),
    SYNC("the new document is in place but may not survive a power failure, the sync failed");

    private final String outcome;

    Step(String outcome) {
      this.outcome = outcome;
    }
  }

  private void requireTurn(StoredKeyset next) throws IOException {
    StoredKeyset present = read(next.id());
    if (next.revision() == 1) {
      if (present != null) {
        throw new KeysetConflictException(
            next.id(), "the name is taken, at revision " + present.revision());
      }
      return;
    }
    if (present == null) {
      throw new KeysetStoreException(
          Reason.NOT_FOUND, "there is no keyset " + next.id() + " in " + directory, null);
    }
    if (present.revision() != next.revision() - 1) {
      throw new KeysetConflictException(
          next.id(),
          "another writer was faster, stored is revision "
              + present.revision()
              + ", which "
              + next.revision()
              + " does not follow");
    }
  }

  // Once per store, before its first write: whoever made the directory may have been killed before
  // it was durable.
  private void prepare() throws IOException {
    if (!prepared) {
      directory.deleteLeftovers();
      directory.syncParent();
      prepared = true;
    }
  }

  private static void makeDirectory(Path absolute) throws IOException {
    Path parent = absolute.getParent();
    if (parent == null || !Files.isDirectory(parent)) {
      throw new NotDirectoryException("its parent " + parent);
    }
    try {
      Files.createDirectory(absolute, DirectoryEntry.ownerOnlyDirectory(absolute));
      LOG.info("there was no directory {}: made it for an empty keyset store", absolute);
    } catch (FileAlreadyExistsException e) {
      // Another process was faster, or a dangling link is in the way; opening it tells.
    } catch (IOException e) {
      throw failure("directory " + absolute + " cannot be made", e, !Files.isWritable(parent));
    }
  }

  // Documents are authenticated, so an intruder can change no key; but they can delete one.
  private static void warnIfOthersWrite(Path absolute) throws IOException {
    if (DirectoryEntry.isPosix(absolute)
        && Files.getPosixFilePermissions(absolute).contains(PosixFilePermission.OTHERS_WRITE)) {
      LOG.warn(
          "anybody on this machine may delete keysets: directory {} is world-writable", absolute);
    }
  }

  private static KeysetStoreException failure(String what, IOException e, boolean readOnly) {
    boolean inaccessible =
        readOnly
            || e instanceof AccessDeniedException
            || e instanceof NoSuchFileException
            || e instanceof NotDirectoryException
            || e instanceof DirectoryEntry.NotRegularException;
    return new KeysetStoreException(
        inaccessible ? Reason.INACCESSIBLE : Reason.UNAVAILABLE, what + ": " + problemOf(e), e);
  }

  /**
   * What went wrong in an operator's words; the JDK's messages are bare paths for the common cases.
   */
  private static String problemOf(IOException e) {
    if (e instanceof ClosedByInterruptException) {
      return "the thread was interrupted";
    }
    if (!(e instanceof FileSystemException failure)) {
      return Objects.requireNonNullElse(e.getMessage(), e.toString());
    }
    String problem = failure.getReason();
    if (problem == null) {
      problem =
          e instanceof NoSuchFileException
              ? "does not exist"
              : e instanceof AccessDeniedException
                  ? "is out of bounds for this process's user"
                  : e instanceof NotDirectoryException ? "is not a directory" : "failed";
    }
    return failure.getFile() + " " + problem;
  }

  private void requireOpen() {
    if (closed.get()) {
      throw new IllegalStateException("keyset store is closed");
    }
  }
}
