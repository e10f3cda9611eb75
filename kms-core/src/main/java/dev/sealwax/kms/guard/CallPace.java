package dev.sealwax.kms.guard;

import dev.sealwax.kms.guard.GuardTiming.Sleeper;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Lets work begin one after the other, at least so far apart that a rate is kept in any second.
 *
 * <p>A turn is taken when the work begins and not before, so that nobody keeps one whom something
 * else delays. Who waits does so in a queue. Safe for any thread.
 */
final class CallPace {
  private final LongSupplier nanoClock;
  private final Sleeper sleeper;
  private final long spacingNanos;
  // Held by the first in the queue, also while it sleeps.
  private final ReentrantLock first = new ReentrantLock(/* fair= */ true);
  private volatile long nextTurn; // written by the first

  CallPace(int callsPerSecond, LongSupplier nanoClock, Sleeper sleeper) {
    this.nanoClock = nanoClock;
    this.sleeper = sleeper;
    // Rounded up, so that no second holds one more.
    this.spacingNanos = (TimeUnit.SECONDS.toNanos(1) + callsPerSecond - 1) / callsPerSecond;
    this.nextTurn = nanoClock.getAsLong();
  }

  /** Whether a turn behind all who wait, here and {@code elsewhere}, would come so soon. */
  boolean hasTurnWithin(long mostNanos, int elsewhere) {
    int ahead = elsewhere + first.getQueueLength() + (first.isLocked() ? 1 : 0);
    return Math.max(0, nextTurn - nanoClock.getAsLong()) + ahead * spacingNanos <= mostNanos;
  }

  /**
   * Waits for a turn and begins the work, which takes the turn unless it throws.
   *
   * @param begin hands the work over; must not block
   * @return what {@code begin} returned; null if no turn comes within {@code mostNanos}
   */
  <T> @Nullable T atTurn(long mostNanos, Supplier<T> begin) throws InterruptedException {
    long end = nanoClock.getAsLong() + mostNanos;
    if (!hasTurnWithin(mostNanos, 0) || !first.tryLock(mostNanos, TimeUnit.NANOSECONDS)) {
      return null;
    }
    try {
      while (true) {
        long now = nanoClock.getAsLong();
        long next = nextTurn;
        if (now - next >= 0) {
          T begun = begin.get();
          nextTurn = nanoClock.getAsLong() + spacingNanos;
          return begun;
        }
        if (next - end > 0) {
          return null;
        }
        sleeper.sleep(next - now);
      }
    } finally {
      first.unlock();
    }
  }
}
