package dev.sealwax.kms.rootkey;

import dev.sealwax.kms.vocabulary.RootKeyException;
import dev.sealwax.kms.vocabulary.RootKeyException.Reason;
import io.github.resilience4j.circuitbreaker.CircuitBreaker;
import io.github.resilience4j.circuitbreaker.CircuitBreakerConfig;
import io.github.resilience4j.circuitbreaker.CircuitBreakerConfig.SlidingWindowType;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Whether a root key may be called: Resilience4j's circuit breaker, and one thing more. An attempt
 * that hangs while the circuit is half open must not keep the next ones out until its time is over:
 * whenever the open time has passed again, another is let through.
 *
 * <p>Safe for any thread.
 */
final class CallCircuit {
  /** An admitted attempt; it ends by exactly one of the methods that take it. */
  enum Pass {
    /** The breaker counts it. */
    COUNTED,
    /** One more while the circuit is half open; only its success counts. */
    EXTRA
  }

  private final CircuitBreaker breaker;
  private final long openNanos;
  private final LongSupplier nanoClock;
  private final AtomicLong lastProbe = new AtomicLong();
  private volatile long openedNanos;
  private volatile @Nullable Reason lastFailure;

  CallCircuit(int attempts, Duration openTime, LongSupplier nanoClock) {
    this.openNanos = openTime.toNanos();
    this.nanoClock = nanoClock;
    this.breaker =
        CircuitBreaker.of(
            "root-key",
            CircuitBreakerConfig.custom()
                .slidingWindow(attempts, Math.max(1, attempts / 2), SlidingWindowType.COUNT_BASED)
                .failureRateThreshold(50)
                .waitDurationInOpenState(openTime)
                .permittedNumberOfCallsInHalfOpenState(1)
                .clock(new MonotonicClock(nanoClock))
                .build());
    breaker
        .getEventPublisher()
        .onStateTransition(
            event -> {
              if (event.getStateTransition().getToState() == CircuitBreaker.State.OPEN) {
                openedNanos = nanoClock.getAsLong();
              }
            });
  }

  /**
   * Admits an attempt.
   *
   * @throws RootKeyException with {@code UNAVAILABLE} if none may be made now
   */
  Pass enter() {
    if (breaker.tryAcquirePermission()) {
      lastProbe.set(nanoClock.getAsLong());
      return Pass.COUNTED;
    }
    long last = lastProbe.get();
    long now = nanoClock.getAsLong();
    if (breaker.getState() == CircuitBreaker.State.HALF_OPEN
        && now - last >= openNanos
        && lastProbe.compareAndSet(last, now)) {
      return Pass.EXTRA;
    }
    throw refusal();
  }

  RootKeyException refusal() {
    Duration left = untilNextAttempt();
    return new RootKeyException(
        Reason.UNAVAILABLE,
        "it failed too often, last as "
            + lastFailure
            + (left.isZero()
                ? "; another call is finding out whether it is back"
                : "; it is left alone for another " + left.toMillis() + " ms"));
  }

  /** The root key has answered, be it that it refuses. */
  void answered(Pass pass, long nanos) {
    if (pass == Pass.COUNTED) {
      breaker.onSuccess(nanos, TimeUnit.NANOSECONDS);
    } else if (breaker.getState() != CircuitBreaker.State.CLOSED) {
      breaker.transitionToClosedState();
    }
  }

  /** The root key has failed for a reason that is not the caller's. */
  void failed(Pass pass, long nanos, Reason reason) {
    lastFailure = reason;
    if (pass == Pass.COUNTED) {
      breaker.onError(nanos, TimeUnit.NANOSECONDS, new RootKeyException(reason, "failed"));
    }
  }

  /** Nothing is known of how the root key does. */
  void left(Pass pass) {
    if (pass == Pass.COUNTED) {
      breaker.releasePermission();
    }
  }

  RootKeyHealth.Circuit state() {
    return switch (breaker.getState()) {
      case OPEN -> openLeft() > 0 ? RootKeyHealth.Circuit.OPEN : RootKeyHealth.Circuit.HALF_OPEN;
      case HALF_OPEN -> RootKeyHealth.Circuit.HALF_OPEN;
      default -> RootKeyHealth.Circuit.CLOSED;
    };
  }

  Duration untilNextAttempt() {
    return state() == RootKeyHealth.Circuit.OPEN
        ? Duration.ofNanos(Math.max(0, openLeft()))
        : Duration.ZERO;
  }

  @Nullable Reason lastFailure() {
    return lastFailure;
  }

  private long openLeft() {
    return openedNanos + openNanos - nanoClock.getAsLong();
  }

  /** What the breaker measures its open time by: a wall clock could be set back by hours. */
  private static final class MonotonicClock extends Clock {
    private final LongSupplier nanoClock;
    private final long origin;

    MonotonicClock(LongSupplier nanoClock) {
      this.nanoClock = nanoClock;
      this.origin = nanoClock.getAsLong();
    }

    @Override
    public Instant instant() {
      return Instant.EPOCH.plusNanos(nanoClock.getAsLong() - origin);
    }

    @Override
    public ZoneId getZone() {
      return ZoneOffset.UTC;
    }

    @Override
    public Clock withZone(ZoneId zone) {
      return this;
    }
  }
}
