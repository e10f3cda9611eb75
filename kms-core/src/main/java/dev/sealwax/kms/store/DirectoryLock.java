package dev.sealwax.kms.store;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * The right to write in one directory, held by at most one thread of one process.
 *
 * <p>All stores of a directory in this JVM share one instance, because a {@link FileLock} knows
 * processes, not threads. A killed process loses the lock with its life. A {@code ReentrantLock}
 * rather than {@code synchronized}, so that a virtual thread waiting for its turn does not pin its
 * carrier.
 */
final class DirectoryLock {
  private static final ConcurrentMap<Object, DirectoryLock> SHARED = new ConcurrentHashMap<>();
  private static final Set<OpenOption> OPTIONS =
      Set.of(StandardOpenOption.CREATE, StandardOpenOption.WRITE, LinkOption.NOFOLLOW_LINKS);

  // Short and constant: a writer in a tight loop leaves the lock free for a few dozen microseconds
  // per write, and a waiter that backs off further and further would hardly ever meet that gap.
  private static final long POLL_NANOS = TimeUnit.MICROSECONDS.toNanos(500);

  private final Object directoryKey;
  private final ReentrantLock threads = new ReentrantLock();
  // Changes only inside SHARED.compute, which lets one thread at a time in.
  private final AtomicInteger users = new AtomicInteger();
  private @Nullable FileChannel channel; // this and below: guarded by threads
  private @Nullable Object channelKey;
  private @Nullable FileLock held;

  private DirectoryLock(Object directoryKey) {
    this.directoryKey = directoryKey;
  }

  /**
   * Joins the users of a directory's lock; nothing is locked or created yet.
   *
   * @param directoryKey equal for every path that leads to the directory
   */
  static DirectoryLock join(Object directoryKey) {
    return SHARED.compute(
        directoryKey,
        (key, present) -> {
          DirectoryLock lock = present == null ? new DirectoryLock(directoryKey) : present;
          lock.users.incrementAndGet();
          return lock;
        });
  }

  /** Undoes one {@link #join}; the last one gives the lock file's descriptor back. */
  void leave() {
    SHARED.computeIfPresent(
        directoryKey,
        (key, present) -> {
          if (present != this) {
            return present;
          }
          if (users.decrementAndGet() > 0) {
            return present;
          }
          closeUnlessLocked();
          return null;
        });
  }

  /**
   * Waits for the lock and takes it.
   *
   * @param file the lock file, by the caller's name for the directory; created if it is missing.
   *     Others may have had another name, for a directory that was moved, or that was deleted and
   *     whose number a new one has got
   * @throws InterruptedIOException if the thread was interrupted (its interrupt status is set
   *     again) or {@code patience} ran out; nothing is held
   * @throws IOException if the lock file cannot be made or locked; nothing is held
   */
  void lock(Path file, Duration patience) throws IOException {
    long deadline = System.nanoTime() + patience.toNanos();
    try {
      if (!threads.tryLock(patience.toNanos(), TimeUnit.NANOSECONDS)) {
        throw timedOut(file, patience, "another thread");
      }
      try {
        while ((held = tryLockFile(file)) == null) {
          if (System.nanoTime() - deadline >= 0) {
            throw timedOut(file, patience, "another process");
          }
          TimeUnit.NANOSECONDS.sleep(POLL_NANOS);
        }
      } finally {
        if (held == null) {
          threads.unlock();
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      InterruptedIOException interrupted =
          new InterruptedIOException("interrupted while waiting for the lock " + file);
      interrupted.initCause(e);
      throw interrupted;
    }
  }

  /** Gives the lock back; only its holder may call this. */
  void unlock() {
    FileLock mine = held;
    held = null;
    try {
      if (users.get() == 0) {
        closeChannel(); // the store was closed during this write, and nobody will come after us
      } else if (mine != null) {
        mine.release();
      }
    } catch (IOException e) {
      // The kernel still counts us as the holder; closing is the other way to make it forget.
      closeChannel();
    } finally {
      threads.unlock();
    }
  }

  private @Nullable FileLock tryLockFile(Path file) throws IOException {
    FileChannel open = channel;
    if (open == null || !open.isOpen()) {
      open = openFile(file);
    }
    FileLock lock;
    try {
      lock = open.tryLock();
    } catch (OverlappingFileLockException e) {
      return null; // a second copy of this class, loaded by another class loader, holds it
    }
    if (lock != null && !isInPlace(file)) {
      closeChannel(); // the file was removed, replaced, or another's: what we hold excludes nobody
      return null;
    }
    return lock;
  }

  private boolean isInPlace(Path file) throws IOException {
    try {
      return DirectoryEntry.keyOf(file).equals(channelKey);
    } catch (NoSuchFileException e) {
      return false;
    }
  }

  // Kept open between writes: POSIX drops every lock a process has on a file as soon as the process
  // closes any descriptor of it, so closing while another class loader's copy holds the lock would
  // take the lock from it. Hence the rule: only a holder closes.
  private FileChannel openFile(Path file) throws IOException {
    DirectoryEntry.requireRegularOrAbsent(file);
    FileChannel opened = FileChannel.open(file, OPTIONS, DirectoryEntry.ownerOnlyFile(file));
    channel = opened;
    channelKey = DirectoryEntry.keyOf(file);
    return opened;
  }

  private void closeUnlessLocked() {
    threads.lock();
    try {
      if (channel != null && channel.isOpen() && channel.tryLock() != null) {
        closeChannel();
      }
    } catch (IOException | OverlappingFileLockException e) {
      // Left to the garbage collector, see openFile().
    } finally {
      threads.unlock();
    }
  }

  private void closeChannel() {
    FileChannel closing = channel;
    channel = null;
    channelKey = null;
    try {
      if (closing != null) {
        closing.close();
      }
    } catch (IOException e) {
      // Linux frees the descriptor and its locks even when close() reports an error; nothing was
      // written through it.
    }
  }

  private static InterruptedIOException timedOut(Path file, Duration patience, String holder) {
    return new InterruptedIOException(
        holder + " kept the lock " + file + " for " + patience.toMillis() + " ms");
  }
}
