package dev.sealwax.kms.rootkey;

import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongSupplier;

/**
 * Gives out turns that lie at least so far apart that a rate is kept in any second. Safe for any
 * thread.
 */
final class CallPace {
  /** What {@link #takeTurn} says when there is none. */
  static final long NO_TURN = -1;

  private final LongSupplier nanoClock;
  private final long spacingNanos;
  private final AtomicLong nextTurn;

  CallPace(int callsPerSecond, LongSupplier nanoClock) {
    this.nanoClock = nanoClock;
    // Rounded up, so that no second holds one more.
    this.spacingNanos = (TimeUnit.SECONDS.toNanos(1) + callsPerSecond - 1) / callsPerSecond;
    this.nextTurn = new AtomicLong(nanoClock.getAsLong());
  }

  /**
   * Takes the next turn if it comes within {@code mostNanos}.
   *
   * @return how long to wait for it, or {@link #NO_TURN}, and then none is taken
   */
  long takeTurn(long mostNanos) {
    while (true) {
      long now = nanoClock.getAsLong();
      long next = nextTurn.get();
      long wait = Math.max(0, next - now);
      if (wait > mostNanos) {
        return NO_TURN;
      }
      if (nextTurn.compareAndSet(next, now + wait + spacingNanos)) {
        return wait;
      }
    }
  }
}
