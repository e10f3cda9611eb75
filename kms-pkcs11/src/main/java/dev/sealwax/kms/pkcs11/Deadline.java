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
      long left = remainingNanos();
      // Who is late gets nothing, though it be free.
      return left > 0 && lock.tryLock(left, TimeUnit.NANOSECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new RootKeyException(UNAVAILABLE, "interrupted while waiting for the token", e);
    }
  }

  /**
   * Runs something that may hang, in a thread of its own, and waits for it, interrupted or not.
   *
   * @return whether it has ended in time
   */
  boolean run(Runnable body) {
    Thread thread = ModuleThreads.of(body);
    thread.start();
    boolean interrupted = false;
    try {
      while (true) {
        try {
          TimeUnit.NANOSECONDS.timedJoin(thread, remainingNanos());
          return !thread.isAlive();
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
