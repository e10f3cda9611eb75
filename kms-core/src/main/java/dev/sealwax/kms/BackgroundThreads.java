package dev.sealwax.kms;

import dev.sealwax.kms.guard.DaemonThreads;
import dev.sealwax.kms.keyset.Background;
import java.util.List;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The threads of one {@link Kms}: one that keeps a coarse clock; at most two that read keysets
 * again and two that renew cached keys, while somebody needs it. The latter call the root key, the
 * former mostly not: a root key that hangs must not keep the store's news away. And one that wipes
 * what has expired, one that follows the changes of a store that tells them, and one for the
 * scheduler if it is started. All are daemons.
 */
final class BackgroundThreads implements AutoCloseable {
  /**
   * A read of the coarse clock costs a nanosecond, {@code System.nanoTime} twenty to thirty: a
   * tenth of a short decrypt.
   */
  private static final long TICK_NANOS = TimeUnit.MILLISECONDS.toNanos(50);

  private static final long MAX_CLOSING_NANOS = TimeUnit.SECONDS.toNanos(1);
  private static final Logger LOG = LoggerFactory.getLogger(BackgroundThreads.class);

  private final ThreadPoolExecutor refresher =
      DaemonThreads.pool("sealwax-refresh", 2, Integer.MAX_VALUE);
  private final ThreadPoolExecutor renewer =
      DaemonThreads.pool("sealwax-renew", 2, Integer.MAX_VALUE);
  private final ThreadFactory watches = DaemonThreads.factory("sealwax-watch");
  // These start their thread with their first task.
  private final ScheduledThreadPoolExecutor timer = timer("sealwax-expire");
  private final ScheduledThreadPoolExecutor scheduler = timer("sealwax-schedule");
  private volatile long now = System.nanoTime();
  private volatile boolean closed;

  private BackgroundThreads() {}

  private static ScheduledThreadPoolExecutor timer(String name) {
    ScheduledThreadPoolExecutor timer =
        new ScheduledThreadPoolExecutor(1, DaemonThreads.factory(name));
    timer.setRemoveOnCancelPolicy(true);
    return timer;
  }

  static BackgroundThreads start() {
    BackgroundThreads threads = new BackgroundThreads();
    DaemonThreads.factory("sealwax-clock").newThread(threads::tick).start();
    return threads;
  }

  private void tick() {
    while (!closed) {
      now = System.nanoTime();
      LockSupport.parkNanos(TICK_NANOS);
    }
  }

  Background background() {
    return new Background(
        () -> now, refresher, renewer, task -> watches.newThread(task).start(), timer);
  }

  ScheduledExecutorService scheduler() {
    return scheduler;
  }

  /** Ends the threads, and waits a moment for calls of store and root key that are under way. */
  @Override
  public void close() {
    closed = true;
    timer.shutdownNow();
    scheduler.shutdown();
    for (ThreadPoolExecutor pool : List.of(refresher, renewer)) {
      pool.shutdown();
      pool.getQueue().clear();
    }
    try {
      long end = System.nanoTime() + MAX_CLOSING_NANOS;
      for (ThreadPoolExecutor pool : List.of(refresher, renewer, scheduler)) {
        if (!pool.awaitTermination(end - System.nanoTime(), TimeUnit.NANOSECONDS)) {
          LOG.warn("a store or root key takes long to answer; it is closed all the same");
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
