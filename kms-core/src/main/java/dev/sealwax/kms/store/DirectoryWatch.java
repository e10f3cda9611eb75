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
 * that only writes of this process end. Starts to watch with the first wait. Safe for any thread.
 */
final class DirectoryWatch implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(DirectoryWatch.class);

  private final Path directory;
  private final WriteSignal own = new WriteSignal();
  private final ReentrantLock lock = new ReentrantLock();
  private boolean started; // guarded by lock, as is closed
  private boolean closed;
  private volatile @Nullable WatchService service;

  DirectoryWatch(Path directory) {
    this.directory = directory;
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
      own.await(timeout);
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
      if (started || closed) {
        return false;
      }
      started = true;
      WatchService made = directory.getFileSystem().newWatchService();
      service = made;
      directory.register(
          made, StandardWatchEventKinds.ENTRY_CREATE, StandardWatchEventKinds.ENTRY_MODIFY);
      return true;
    } catch (IOException | UnsupportedOperationException e) {
      LOG.info("directory {} cannot be watched, it is looked at instead: {}", directory, e + "");
      stop(service);
      return true;
    } finally {
      lock.unlock();
    }
  }

  private void stop(@Nullable WatchService watching) {
    service = null;
    if (watching != null) {
      try {
        watching.close();
      } catch (IOException e) {
        LOG.debug("closing the watch of {} failed", directory, e);
      }
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
