package dev.sealwax.kms.guard;

import dev.sealwax.kms.vocabulary.GuardHealth.Circuit;
import dev.sealwax.kms.vocabulary.KmsException;
import io.github.resilience4j.circuitbreaker.CircuitBreaker;
import io.github.resilience4j.circuitbreaker.CircuitBreakerConfig;
import io.github.resilience4j.circuitbreaker.CircuitBreakerConfig.SlidingWindowType;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Whether something may be called: Resilience4j's circuit breaker, and two things more. An attempt
 * that hangs while the circuit is half open must not keep the next ones out until its time is over:
 * whenever the open time has passed again, another is let through. And how an attempt ends is told
 * to the breaker only as long as the circuit is as it found it: who was let in before it opened
 * neither answers for the one that tries, nor frees its place.
 *
 * <p>Safe for any thread; its lock is held for moments.
 */
final class CallCircuit<R extends Enum<R>> {
  private enum Kind {
    /** The circuit was closed. */
    REGULAR,
    /** The circuit is half open, and the breaker waits for this one. */
    PROBE,
    /** One more while the circuit is half open; only its success counts. */
    EXTRA
  }

  /** An admitted attempt; it ends by exactly one of the methods that take it. */
  static final class Pass {
    private final Kind kind;
    private final long period;

    private Pass(Kind kind, long period) {
      this.kind = kind;
      this.period = period;
    }
  }

  private final CircuitBreaker breaker;
  private final long openNanos;
  private final LongSupplier nanoClock;
  private final Outages<R> failures;
  // All guarded by this.
  private long period; // another with each change of the breaker's state
  private @Nullable Pass lastProbe; // while the circuit is half open
  private long lastProbeNanos;
  private long openedNanos;
  private @Nullable R lastFailure;

  CallCircuit(int attempts, Duration openTime, LongSupplier nanoClock, Outages<R> failures) {
    this.failures = failures;
    this.openNanos = openTime.toNanos();
    this.nanoClock = nanoClock;
    this.breaker =
        CircuitBreaker.of(
            "guarded",
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
              period++;
              if (event.getStateTransition().getToState() == CircuitBreaker.State.OPEN) {
                openedNanos = nanoClock.getAsLong();
              }
            });
  }

  /**
   * Refuses an attempt that would not be admitted now, so that it need not wait to hear it.
   *
   * @throws KmsException as {@link #enter}
   */
  synchronized void requireAdmitting() {
    if (state() == Circuit.OPEN || isProbed()) {
      throw refusal();
    }
  }

  /**
   * Admits an attempt that begins now.
   *
   * @throws KmsException as unavailable if none may be made now
   */
  synchronized Pass enter() {
    if (isProbed()) {
      throw refusal();
    }
    boolean permitted = breaker.tryAcquirePermission();
    boolean halfOpen = breaker.getState() == CircuitBreaker.State.HALF_OPEN;
    if (!permitted && !halfOpen) {
      throw refusal();
    }
    Pass pass = new Pass(!permitted ? Kind.EXTRA : halfOpen ? Kind.PROBE : Kind.REGULAR, period);
    if (halfOpen) {
      lastProbe = pass;
      lastProbeNanos = nanoClock.getAsLong();
    }
    return pass;
  }

  /** Whether an attempt has less than the open time ago begun to find out. */
  private boolean isProbed() {
    return breaker.getState() == CircuitBreaker.State.HALF_OPEN
        && nanoClock.getAsLong() - lastProbeNanos < openNanos;
  }

  private boolean awaits(Pass pass) {
    return pass.kind != Kind.EXTRA && pass.period == period;
  }

  private KmsException refusal() {
    Duration left = untilNextAttempt();
    return failures.unavailable(
        "it failed too often, last as "
            + lastFailure
            + (left.isZero()
                ? "; another call is finding out whether it is back"
                : "; it is left alone for another " + left.toMillis() + " ms"),
        null);
  }

  /** There was an answer, be it a refusal. */
  synchronized void answered(Pass pass, long nanos) {
    if (awaits(pass)) {
      breaker.onSuccess(nanos, TimeUnit.NANOSECONDS);
    } else if (pass.kind != Kind.REGULAR && breaker.getState() != CircuitBreaker.State.CLOSED) {
      breaker.transitionToClosedState();
    }
  }

  /** There was none, for a reason that is not the caller's. */
  synchronized void failed(Pass pass, long nanos, R reason) {
    lastFailure = reason;
    if (awaits(pass)) {
      breaker.onError(nanos, TimeUnit.NANOSECONDS, failures.unavailable("failed", null));
    }
  }

  /** It runs on, but nobody will hear how it ends; no other begins before its time is over. */
  synchronized void abandoned(Pass pass) {
    if (awaits(pass)) {
      breaker.releasePermission();
    }
  }

  /** It was not made, or has ended without a word on how what is called does. */
  synchronized void left(Pass pass) {
    abandoned(pass);
    if (pass == lastProbe && pass.period == period) {
      lastProbeNanos = nanoClock.getAsLong() - openNanos; // the next one may find out at once
    }
  }

  synchronized Circuit state() {
    return switch (breaker.getState()) {
      case OPEN -> openLeft() > 0 ? Circuit.OPEN : Circuit.HALF_OPEN;
      case HALF_OPEN -> Circuit.HALF_OPEN;
      default -> Circuit.CLOSED;
    };
  }

  synchronized Duration untilNextAttempt() {
    return state() == Circuit.OPEN ? Duration.ofNanos(Math.max(0, openLeft())) : Duration.ZERO;
  }

  synchronized @Nullable R lastFailure() {
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
