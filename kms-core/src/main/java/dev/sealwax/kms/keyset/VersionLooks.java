package dev.sealwax.kms.keyset;

import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.function.IntConsumer;
import java.util.function.LongSupplier;

/**
 * Looks into the store for versions of one keyset that headers name and this process does not know.
 * Anybody can put any version into a header, so looks are shared, and spaced. Safe for any thread.
 */
final class VersionLooks {
  /**
   * At least this many nanoseconds lie between the end of a look and the next one, unless the
   * thread that is to look is interrupted.
   */
  static final long PAUSE_NANOS = TimeUnit.MILLISECONDS.toNanos(50);

  private final LongSupplier nanoClock;
  private final IntConsumer read;
  private final SingleFlight<Long> looks = new SingleFlight<>();
  // Written within the single flight only.
  private volatile long begun;
  private volatile long endedNanos;

  /**
   * No look has begun yet.
   *
   * @param read reads the keyset, for the sake of the version that it is given
   */
  VersionLooks(LongSupplier nanoClock, IntConsumer read) {
    this.nanoClock = nanoClock;
    this.read = read;
  }

  /**
   * Makes a look or joins the one under way, and another if that began before this call and has not
   * found the version: so that a version just published is never called unknown.
   *
   * @throws RuntimeException what the look has thrown that this call made or joined
   */
  void lookFor(int version, BooleanSupplier isKnown) {
    long begunBefore = begun;
    long look;
    do {
      // One of a number that was given before may have read the store before this envelope came.
      look = looks.run(() -> look(version));
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
