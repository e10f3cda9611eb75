package dev.sealwax.kms.store;

import java.io.IOException;
import java.nio.file.ClosedWatchServiceException;
import java.nio.file.Path;
import java.nio.file.StandardWatchEventKinds;
import java.nio.file.WatchKey;
import java.nio.file.WatchService;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Waits for writes to a directory by any process, where the platform tells of them.
 *
 * <p>Linux does (inotify); where it does not, or has no more watches to give, this is a plain wait
 * that only writes of this process end. Starts to watch with the first wait; when that fails, or
 * the directory goes away (a volume that is unmounted), later waits try again, with a pause between
 * two attempts. Safe for any thread.
 */
final class DirectoryWatch implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(DirectoryWatch.class);

  private static final Duration PAUSE = Duration.ofSeconds(10);

  /** Fails if another directory is in the place of the one to watch. */
  interface Same {
    void require() throws IOException;
  }

  private final Path directory;
  private final Same same;
  private final Duration pause;
  private final WriteSignal own = WriteSignal.create();
  private final ReentrantLock lock = new ReentrantLock();
  private long nextStartNanos = System.nanoTime(); // this and below: guarded by lock
  private boolean failing;
  private boolean closed;
  private volatile @Nullable WatchService service;

  DirectoryWatch(Path directory, Same same) {
    this(directory, same, PAUSE);
  }

  DirectoryWatch(Path directory, Same same, Duration pause) {
    this.directory = directory;
    this.same = same;
    this.pause = pause;
  }

  /** Tells of a write by this process, which need not be told by the platform. */
  void signal() {
    own.signal();
  }

  /** Waits for a write, the end of the timeout or {@link #close}; may end early for no reason. */
  void await(Duration timeout) throws InterruptedException {
    if (timeout.isNegative()) {
      throw new IllegalArgumentException("timeout must not be negative, got " + timeout);
    }
    if (start()) {
      return; // what was written before is not told any more
    }
    WatchService watching = service;
    if (watching == null) {
      own.await(timeout.compareTo(pause) < 0 ? timeout : pause); // the next wait may be told
      return;
    }
    try {
      WatchKey key = watching.poll(TimeUnit.NANOSECONDS.convert(timeout), TimeUnit.NANOSECONDS);
      if (key != null) {
        key.pollEvents();
        if (!key.reset()) {
          stop(watching); // the directory is gone; reading it will say so
        }
      }
    } catch (ClosedWatchServiceException e) {
      // As after a write: who waits looks and finds the store closed.
    }
  }

  private boolean start() {
    lock.lock();
    try {
      if (service != null || closed || System.nanoTime() - nextStartNanos < 0) {
        return false;
      }
      nextStartNanos = System.nanoTime() + pause.toNanos();
      WatchService made = directory.getFileSystem().newWatchService();
      service = made;
      directory.register(
          made, StandardWatchEventKinds.ENTRY_CREATE, StandardWatchEventKinds.ENTRY_MODIFY);
      same.require(); // the place of an unmounted volume could be watched for ever
      if (failing) {
        LOG.info("directory {} is watched again", directory);
      }
      failing = false;
      return true;
    } catch (IOException | UnsupportedOperationException e) {
      if (!failing) {
        LOG.info("directory {} cannot be watched, it is looked at instead: {}", directory, e + "");
      }
      failing = true;
      stop(service);
      return false;
    } finally {
      lock.unlock();
    }
  }

  private void stop(@Nullable WatchService watching) {
    lock.lock();
    try {
      if (service == watching) {
        service = null; // and not that of a later start
      }
      if (watching != null) {
        watching.close();
      }
    } catch (IOException e) {
      LOG.debug("closing the watch of {} failed", directory, e);
    } finally {
      lock.unlock();
    }
  }

  /** Ends every wait. */
  @Override
  public void close() {
    lock.lock();
    try {
      closed = true;
      stop(service);
    } finally {
      lock.unlock();
    }
    own.close();
  }
}
