package dev.sealwax.kms.keyset;

import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.function.IntConsumer;
import java.util.function.LongSupplier;

/**
 * Looks into the store for versions of one keyset that headers name and nobody here knows. Anybody
 * can put any version into a header, so looks are shared, and spaced. Safe for any thread.
 */
final class VersionLooks {
  /** At least this many nanoseconds lie between the end of a look and the next one. */
  static final long PAUSE_NANOS = TimeUnit.MILLISECONDS.toNanos(50);

  private final LongSupplier nanoClock;
  private final IntConsumer read;
  private final SingleFlight<Long> looks = new SingleFlight<>();
  // Written within the single flight only.
  private volatile long begun;
  private volatile long endedNanos;

  /**
   * Starts with none.
   *
   * @param read reads the keyset, for the sake of the version that it is given
   */
  VersionLooks(LongSupplier nanoClock, IntConsumer read) {
    this.nanoClock = nanoClock;
    this.read = read;
  }

  /**
   * Returns once the version is known, or a look has ended that began after this call: so that a
   * version just published is never called unknown.
   */
  void lookFor(int version, BooleanSupplier isKnown) {
    long begunBefore = begun;
    long look;
    do {
      look = looks.run(() -> look(version));
      // An earlier one was somebody's that had read the store before this envelope came.
    } while (look <= begunBefore && !isKnown.getAsBoolean());
  }

  private long look(int version) {
    waitForTurn();
    long number = begun + 1;
    begun = number;
    try {
      read.accept(version);
    } finally {
      endedNanos = nanoClock.getAsLong();
    }
    return number;
  }

  private void waitForTurn() {
    long early = endedNanos + PAUSE_NANOS - nanoClock.getAsLong();
    if (begun > 0 && early > 0) {
      try {
        TimeUnit.NANOSECONDS.sleep(early);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt(); // looks early rather than not at all
      }
    }
  }
}
