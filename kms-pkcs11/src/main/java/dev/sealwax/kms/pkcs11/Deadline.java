package dev.sealwax.kms.pkcs11;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNAVAILABLE;

import dev.sealwax.kms.vocabulary.RootKeyException;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Lock;

/** The moment by which a call has to end. Immutable. */
record Deadline(long nanoTime) {
  static Deadline in(Duration timeout) {
    // Saturated: a timeout of centuries is none.
    long nanos =
        timeout.compareTo(Duration.ofDays(10_000)) > 0 ? Long.MAX_VALUE / 4 : timeout.toNanos();
    return new Deadline(System.nanoTime() + nanos);
  }

  long remainingNanos() {
    return nanoTime - System.nanoTime();
  }

  /**
   * Takes a lock, or gives up when the time has come.
   *
   * @return whether it was taken
   * @throws RootKeyException with {@code UNAVAILABLE} if the thread is interrupted
   */
  boolean take(Lock lock) {
    try {
      return lock.tryLock(remainingNanos(), TimeUnit.NANOSECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new RootKeyException(UNAVAILABLE, "interrupted while waiting for the token", e);
    }
  }
}
