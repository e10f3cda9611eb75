package dev.sealwax.kms.rewrap;

import java.util.concurrent.TimeUnit;

/** Keeps a job below a number of records per second. For one thread. */
final class RateLimit {
  private final double nanosPerRecord;
  private long freeAt = System.nanoTime();

  /**
   * A limit.
   *
   * @param recordsPerSecond 0 for none
   */
  RateLimit(int recordsPerSecond) {
    this.nanosPerRecord =
        recordsPerSecond == 0 ? 0 : (double) TimeUnit.SECONDS.toNanos(1) / recordsPerSecond;
  }

  /** Waits until what was taken before is paid for, then takes {@code records}. */
  void take(int records) {
    long now = System.nanoTime();
    if (freeAt - now > 0) {
      Patience.sleep(freeAt - now);
    } else {
      freeAt = now; // time that was not used is not saved up
    }
    freeAt += (long) (records * nanosPerRecord);
  }
}
