package dev.sealwax.kms.rewrap;

import dev.sealwax.kms.vocabulary.KeysetStoreException;
import dev.sealwax.kms.vocabulary.KmsException;
import dev.sealwax.kms.vocabulary.RewrapException;
import dev.sealwax.kms.vocabulary.RewrapException.Reason;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

/**
 * Repeats calls that fail for a reason which is no record's, with pauses from a tenth of a second
 * to ten seconds that double, for as long as the patience lasts; then, or at once where waiting
 * does not help, stops the job. Safe for any thread.
 */
final class Patience {
  private static final Duration FIRST_PAUSE = Duration.ofMillis(100);
  private static final Duration LONGEST_PAUSE = Duration.ofSeconds(10);

  /** What may fail. */
  interface Call<T> {
    T call() throws IOException;
  }

  private final Duration patience;
  private final RewrapListener listener;

  Patience(Duration patience, RewrapListener listener) {
    this.patience = patience;
    this.listener = listener;
  }

  /**
   * The result of {@code call}, however often it takes.
   *
   * @throws RewrapException with {@code reason}, or if the thread is interrupted
   */
  <T> T call(Reason reason, String what, Call<T> call) {
    long started = System.nanoTime();
    Duration pause = FIRST_PAUSE;
    while (true) {
      if (Thread.currentThread().isInterrupted()) {
        throw interrupted();
      }
      try {
        return call.call();
      } catch (RewrapException e) {
        throw e;
      } catch (IOException | RuntimeException e) {
        if (Thread.currentThread().isInterrupted()) {
          throw interrupted();
        }
        Duration passed = Duration.ofNanos(System.nanoTime() - started);
        if (!mayPass(e) || passed.plus(pause).compareTo(patience) > 0) {
          throw new RewrapException(reason, what + ", see the cause", e);
        }
        listener.onPause(reason, e, pause);
        sleep(pause.toNanos());
        Duration doubled = pause.multipliedBy(2);
        pause = doubled.compareTo(LONGEST_PAUSE) < 0 ? doubled : LONGEST_PAUSE;
      }
    }
  }

  private static boolean mayPass(Exception failure) {
    if (failure instanceof KmsException) {
      return (failure instanceof RootKeyException root && root.reason().isRetryable())
          || (failure instanceof KeysetStoreException store && store.reason().isRetryable());
    }
    return failure instanceof IOException;
  }

  /** Sleeps, or stops the job if the thread is interrupted. */
  static void sleep(long nanos) {
    try {
      TimeUnit.NANOSECONDS.sleep(nanos);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw interrupted();
    }
  }

  static RewrapException interrupted() {
    return new RewrapException(
        Reason.INTERRUPTED, "the thread was interrupted; run again to go on", null);
  }
}
