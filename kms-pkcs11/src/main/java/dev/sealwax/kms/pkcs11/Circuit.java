package dev.sealwax.kms.pkcs11;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNAVAILABLE;

import dev.sealwax.kms.vocabulary.RootKeyException;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Whether a module, or one token in it, may be called after it has failed.
 *
 * <p>Doubles its wait with each failed recovery, and takes off up to a quarter at random so that
 * the processes of a fleet do not come back in step. Safe for any thread.
 */
final class Circuit {
  private static final int MAX_DOUBLINGS = 30;

  private final long firstNanos;
  private final long longestNanos;
  private final LongSupplier nanoClock;

  private volatile int failures;
  private volatile long openUntil;
  private volatile @Nullable String lastFailure;

  Circuit(Duration first, Duration longest, LongSupplier nanoClock) {
    this.firstNanos = first.toNanos();
    this.longestNanos = longest.toNanos();
    this.nanoClock = nanoClock;
  }

  /**
   * Lets a call through.
   *
   * @param what starts the message
   * @throws RootKeyException with {@code UNAVAILABLE} while it is open
   */
  void requireClosed(String what) {
    if (failures > 0 && openNanos() > 0) {
      throw new RootKeyException(
          UNAVAILABLE,
          what
              + " failed and is left alone for another "
              + TimeUnit.NANOSECONDS.toMillis(openNanos())
              + " ms: "
              + lastFailure);
    }
  }

  synchronized void failed(String failure) {
    lastFailure = failure;
    int doublings = Math.min(failures, MAX_DOUBLINGS);
    long wait = firstNanos >= longestNanos >> doublings ? longestNanos : firstNanos << doublings;
    openUntil = nanoClock.getAsLong() + wait - ThreadLocalRandom.current().nextLong(wait / 4 + 1);
    failures++;
  }

  /** The same, unless it is open: calls that fail together are one failure. */
  synchronized void failedTogether(String failure) {
    if (state() != CircuitState.OPEN) {
      failed(failure);
    }
  }

  void succeeded() {
    if (failures > 0) {
      synchronized (this) {
        failures = 0;
      }
    }
  }

  private long openNanos() {
    return openUntil - nanoClock.getAsLong();
  }

  CircuitState state() {
    if (failures == 0) {
      return CircuitState.CLOSED;
    }
    return openNanos() > 0 ? CircuitState.OPEN : CircuitState.HALF_OPEN;
  }

  int failures() {
    return failures;
  }

  Duration untilNextAttempt() {
    return failures == 0 ? Duration.ZERO : Duration.ofNanos(Math.max(0, openNanos()));
  }

  Optional<String> lastFailure() {
    return Optional.ofNullable(lastFailure);
  }
}
