package dev.sealwax.kms.store;

import java.time.Duration;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Tells waiting threads that a store was written; for a {@link WatchableKeysetStore} to build
 * {@link WatchableKeysetStore#awaitWrite} on.
 *
 * <p>A signal that nobody waits for is kept for the next one who does: otherwise a write between
 * reading the changes and waiting for more would be slept over. Safe for any thread; locks rather
 * than monitors, so that waiting virtual threads do not pin their carriers.
 */
public final class WriteSignal {
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition told = lock.newCondition();
  private long signals; // this and below: guarded by lock
  private int waiting;
  private boolean kept;
  private boolean closed;

  private WriteSignal() {}

  /** A signal that nobody has given yet. */
  public static WriteSignal create() {
    return new WriteSignal();
  }

  /** Wakes all who wait, or the next one who would. */
  public void signal() {
    lock.lock();
    try {
      signals++;
      kept = waiting == 0;
      told.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /**
   * Waits for a signal, the end of the timeout, or {@link #close}.
   *
   * @throws IllegalArgumentException if the timeout is negative
   * @throws InterruptedException if the thread is interrupted before or while waiting
   */
  public void await(Duration timeout) throws InterruptedException {
    Objects.requireNonNull(timeout, "timeout");
    if (timeout.isNegative()) {
      throw new IllegalArgumentException("timeout must not be negative, got " + timeout);
    }
    long remaining = nanosOf(timeout);
    lock.lockInterruptibly();
    try {
      if (kept) {
        kept = false;
        return;
      }
      long before = signals;
      waiting++;
      try {
        while (signals == before && !closed && remaining > 0) {
          remaining = told.awaitNanos(remaining);
        }
      } finally {
        waiting--;
      }
    } finally {
      lock.unlock();
    }
  }

  /** Ends every wait, now and later. */
  public void close() {
    lock.lock();
    try {
      closed = true;
      told.signalAll();
    } finally {
      lock.unlock();
    }
  }

  private static long nanosOf(Duration timeout) {
    return TimeUnit.NANOSECONDS.convert(timeout); // caps what 64 bits do not hold
  }
}
