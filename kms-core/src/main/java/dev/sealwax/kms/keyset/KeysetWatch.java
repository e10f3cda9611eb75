package dev.sealwax.kms.keyset;

import dev.sealwax.kms.store.WatchableKeysetStore;
import dev.sealwax.kms.store.WatchableKeysetStore.Changes;
import dev.sealwax.kms.store.WatchableKeysetStore.Position;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Follows what is written to a store that can tell, with one question per refresh interval for all
 * keysets of the process, and sooner when the store pushes.
 *
 * <p>Keysets that were written are told so before {@link #confirmedNanos} advances; all others are
 * then known to be as they were. While the store does not answer nothing is confirmed, and every
 * keyset in use looks for itself. Starts with the first keyset. Safe for any thread.
 */
final class KeysetWatch {
  private static final Logger LOG = LoggerFactory.getLogger(KeysetWatch.class);

  /** Between two questions, however often the store says that something was written. */
  private static final long MIN_PAUSE_MILLIS = 5;

  /** Longer than a store takes that is well. */
  static final Duration CLOSING_PATIENCE = Duration.ofSeconds(1);

  private final WatchableKeysetStore store;
  private final LongSupplier nanoClock;
  private final Duration interval;
  private final Duration closingPatience;
  private final Consumer<@Nullable KeysetId> onWritten;
  private final AtomicBoolean started = new AtomicBoolean();
  private volatile @Nullable Position position; // written by the watching thread only
  private volatile long confirmedNanos;
  private volatile boolean confirming;
  private final CountDownLatch ended = new CountDownLatch(1);
  private final ReentrantLock lock = new ReentrantLock();
  private @Nullable Thread paused; // guarded by lock
  private volatile boolean running;
  private volatile boolean closed;

  /**
   * Prepares a watch.
   *
   * @param interval between two questions, unless the store says sooner that something was written
   * @param closingPatience how long {@link #close} waits for a question under way
   * @param onWritten told of a keyset that was written, or of null if any may have been
   */
  KeysetWatch(
      WatchableKeysetStore store,
      LongSupplier nanoClock,
      Duration interval,
      Duration closingPatience,
      Consumer<@Nullable KeysetId> onWritten) {
    this.store = store;
    this.nanoClock = nanoClock;
    this.interval = interval;
    this.closingPatience = closingPatience;
    this.onWritten = onWritten;
  }

  /** Starts to watch, once. */
  void start(Executor watcher) {
    if (!started.get() && started.compareAndSet(false, true)) {
      boolean submitted = false;
      try {
        watcher.execute(this::run);
        submitted = true;
      } catch (RejectedExecutionException e) {
        LOG.debug("no thread to watch the store; keysets look for themselves", e);
        submitted = true; // closed, or nobody is meant to watch
      } finally {
        if (!submitted) {
          started.set(false); // an Error, such as no more threads to be had: the next one may be
        }
      }
    }
  }

  /** Whether a moment is known at which no keyset had changed that was not told so. */
  boolean isConfirming() {
    return confirming;
  }

  /** That moment; meaningless unless {@link #isConfirming}. */
  long confirmedNanos() {
    return confirmedNanos;
  }

  private void run() {
    running = true;
    try {
      follow();
    } finally {
      running = false;
      ended.countDown();
    }
  }

  private void follow() {
    boolean failing = false;
    while (!closed) {
      try {
        look();
        if (failing) {
          failing = false;
          LOG.info("the changes of the store are followed again");
        }
        pausing(
            () -> {
              store.awaitWrite(interval);
              Thread.sleep(MIN_PAUSE_MILLIS);
            });
      } catch (InterruptedException e) {
        return; // only close interrupts
      } catch (RuntimeException | Error e) {
        if (!failing && !closed) {
          failing = true;
          LOG.warn("the changes of the store cannot be followed; keysets look for themselves", e);
        }
        try {
          pausing(() -> Thread.sleep(interval.toMillis()));
        } catch (InterruptedException end) {
          return;
        }
      }
    }
  }

  /** One question to the store. */
  void look() {
    long asked = nanoClock.getAsLong();
    Position since = position;
    if (since == null) {
      // What was read before this moment may have changed since unnoticed.
      position = store.position();
      onWritten.accept(null);
    } else {
      Changes changes = store.changesAfter(since);
      if (changes.complete()) {
        changes.written().forEach(onWritten);
      } else {
        onWritten.accept(null);
      }
      position = changes.position();
    }
    confirmedNanos = asked;
    confirming = true;
  }

  private interface Pause {
    void run() throws InterruptedException;
  }

  /**
   * Runs a pause, which is all that {@link #close} interrupts: a thread that is interrupted in the
   * middle of a call can cost an embedded database its files.
   */
  private void pausing(Pause pause) throws InterruptedException {
    lock.lock();
    try {
      if (closed) {
        return;
      }
      paused = Thread.currentThread();
    } finally {
      lock.unlock();
    }
    try {
      pause.run();
    } finally {
      lock.lock();
      try {
        paused = null;
      } finally {
        lock.unlock();
      }
    }
  }

  /** Ends the watch, and waits a moment for a question under way: the store is closed next. */
  void close() {
    lock.lock();
    try {
      closed = true;
      if (paused != null) {
        paused.interrupt();
      }
    } finally {
      lock.unlock();
    }
    try {
      if (running && !ended.await(closingPatience.toNanos(), TimeUnit.NANOSECONDS)) {
        LOG.warn("the store takes long to answer; it is closed all the same");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
