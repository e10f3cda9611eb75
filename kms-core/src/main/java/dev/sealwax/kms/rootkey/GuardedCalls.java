package dev.sealwax.kms.rootkey;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.THROTTLED;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNAVAILABLE;

import dev.sealwax.kms.rootkey.Attempt.Task;
import dev.sealwax.kms.rootkey.CallCircuit.Pass;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.util.Optional;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.Semaphore;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Makes the calls of a {@link ResilientRootKey}: bounds how many there are, waits for a place and
 * then for a turn, asks the circuit, hands the attempt to a thread, waits for it and tries it
 * again.
 *
 * <p>The turn is the last thing that is waited for: attempts that had theirs and then waited for a
 * place would begin all at once, and one that the circuit admitted might begin after it has opened.
 * Safe for any thread.
 */
final class GuardedCalls implements AutoCloseable {
  private final GuardLimits limits;
  private final GuardTiming timing;
  private final CallCircuit circuit;
  private final @Nullable CallPace pace;
  // One for each thread; an attempt keeps it until it has ended, be its caller gone or not.
  private final Semaphore places;
  private final ThreadPoolExecutor threads;
  private final AtomicInteger inside = new AtomicInteger();
  private final AtomicInteger underWay = new AtomicInteger();
  private final AtomicInteger overdue = new AtomicInteger();
  private final LongAdder calls = new LongAdder();
  private final LongAdder attempts = new LongAdder();
  private final LongAdder failures = new LongAdder();
  private final LongAdder timeouts = new LongAdder();
  private final LongAdder refusals = new LongAdder();

  GuardedCalls(GuardLimits limits, GuardTiming timing) {
    this.limits = limits;
    this.timing = timing;
    this.circuit = new CallCircuit(limits.circuitAttempts(), limits.openTime(), timing.nanoClock());
    this.pace =
        limits.callsPerSecond() == 0
            ? null
            : new CallPace(limits.callsPerSecond(), timing.nanoClock(), timing.sleeper());
    this.places = new Semaphore(limits.concurrentCalls(), /* fair= */ true);
    // The queue is for the moment that a thread takes to come back from an attempt.
    this.threads =
        CallThreads.pool("sealwax-root-key", limits.concurrentCalls(), Integer.MAX_VALUE);
  }

  /**
   * Makes a call.
   *
   * @param tasks yields what one attempt does, for each attempt anew: one that was left behind may
   *     still work on its own
   */
  <T> T call(Supplier<Task<T>> tasks) {
    return call(tasks, failure -> false);
  }

  /**
   * Makes a call, of which some failures say nothing about how the root key does.
   *
   * @param isNoAnswer which these are
   */
  <T> T call(Supplier<Task<T>> tasks, Predicate<RootKeyException> isNoAnswer) {
    requireOpen();
    calls.increment();
    try {
      if (inside.incrementAndGet() > limits.concurrentCalls() + limits.waitingCalls()) {
        throw refused(
            new RootKeyException(
                THROTTLED,
                "more than "
                    + limits.waitingCalls()
                    + " callers wait for it; slow down, or allow more"));
      }
      return tried(tasks, isNoAnswer, timing.nanoClock().getAsLong() + limits.deadlineNanos());
    } finally {
      inside.decrementAndGet();
    }
  }

  private <T> T tried(Supplier<Task<T>> tasks, Predicate<RootKeyException> isNoAnswer, long end) {
    RootKeyException failure = null;
    for (int number = 1; ; number++) {
      Attempt<T> attempt;
      try {
        attempt = begin(tasks, isNoAnswer, end);
      } catch (RootKeyException refusal) {
        throw failure != null ? failure : refused(refusal);
      }
      try {
        return attempt.await(end, limits.attemptTimeoutNanos());
      } catch (RootKeyException e) {
        failure = e;
      }
      threads.remove(attempt);
      if (!failure.reason().isRetryable()
          || number == limits.attempts()
          || circuit.state() == RootKeyHealth.Circuit.OPEN
          || !pause(number, end)) {
        throw failure;
      }
    }
  }

  private RootKeyException refused(RootKeyException refusal) {
    refusals.increment();
    return refusal;
  }

  private <T> Attempt<T> begin(
      Supplier<Task<T>> tasks, Predicate<RootKeyException> isNoAnswer, long end) {
    if (overdue.get() >= limits.concurrentCalls()) {
      throw new RootKeyException(
          UNAVAILABLE, "no attempt has returned in time, and there is no thread for another");
    }
    circuit.requireAdmitting();
    if (pace != null && !pace.hasTurnWithin(half(end), places.getQueueLength())) {
      throw noTurn();
    }
    try {
      if (!places.tryAcquire(left(end), TimeUnit.NANOSECONDS)) {
        throw new RootKeyException(UNAVAILABLE, "other calls took all the time until the deadline");
      }
      return handedOver(tasks, isNoAnswer, end);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new RootKeyException(UNAVAILABLE, "interrupted while waiting for its turn", e);
    }
  }

  /** Begins an attempt that has a place. */
  private <T> Attempt<T> handedOver(
      Supplier<Task<T>> tasks, Predicate<RootKeyException> isNoAnswer, long end)
      throws InterruptedException {
    @Nullable Pass pass = null;
    @Nullable Task<T> task = null;
    boolean begun = false;
    try {
      pass = admitted(end);
      task = tasks.get();
      Attempt<T> attempt =
          new Attempt<>(
              task.endingWith(places::release), timing.nanoClock(), new Watcher(pass, isNoAnswer));
      threads.execute(attempt);
      begun = true;
      return attempt;
    } catch (RejectedExecutionException e) {
      throw closed();
    } finally {
      if (!begun) {
        places.release();
        if (pass != null) {
          circuit.left(pass);
        }
        if (task != null) {
          task.end().run();
        }
      }
    }
  }

  private Pass admitted(long end) throws InterruptedException {
    if (pace == null) {
      return circuit.enter();
    }
    Pass pass = pace.atTurn(half(end), circuit::enter);
    if (pass == null) {
      throw noTurn();
    }
    return pass;
  }

  private RootKeyException noTurn() {
    return new RootKeyException(
        THROTTLED,
        "the configured rate of "
            + limits.callsPerSecond()
            + " calls per second leaves no place in time");
  }

  private long left(long end) {
    return end - timing.nanoClock().getAsLong();
  }

  /** Half of what is left: who gets a turn just before the deadline only spends it. */
  private long half(long end) {
    return left(end) / 2;
  }

  /** Pauses before the next attempt; false if there is no time for one, or no wish. */
  private boolean pause(int attemptsMade, long end) {
    int doublings = Math.min(attemptsMade - 1, 30);
    long most =
        limits.firstPauseNanos() >= limits.longestPauseNanos() >> doublings
            ? limits.longestPauseNanos()
            : limits.firstPauseNanos() << doublings;
    long pause = timing.chance().applyAsLong(most);
    if (pause >= left(end) || Thread.currentThread().isInterrupted()) {
      return false;
    }
    try {
      timing.sleeper().sleep(pause);
      return true;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }

  /** Tells circuit and counters of one attempt. */
  private final class Watcher implements Attempt.Observer {
    private final Pass pass;
    private final Predicate<RootKeyException> isNoAnswer;
    private boolean made;

    Watcher(Pass pass, Predicate<RootKeyException> isNoAnswer) {
      this.pass = pass;
      this.isNoAnswer = isNoAnswer;
    }

    @Override
    public void begins() {
      made = true;
      attempts.increment();
      underWay.incrementAndGet();
    }

    @Override
    public void succeeded(long nanos) {
      underWay.decrementAndGet();
      circuit.answered(pass, nanos);
    }

    @Override
    public void failed(Throwable failure, long nanos) {
      underWay.decrementAndGet();
      if (!(failure instanceof RootKeyException e) || isNoAnswer.test(e)) {
        circuit.left(pass); // another's key, a programming error, or a root key that is closed
      } else if (e.reason().isRetryable()) {
        failures.increment();
        circuit.failed(pass, nanos, e.reason());
      } else {
        circuit.answered(pass, nanos);
      }
    }

    @Override
    public void timedOut(long nanos) {
      underWay.decrementAndGet();
      failures.increment();
      timeouts.increment();
      if (nanos >= Math.min(limits.attemptTimeoutNanos(), limits.deadlineNanos()) / 2) {
        circuit.failed(pass, nanos, UNAVAILABLE);
      } else {
        circuit.abandoned(pass); // it began too late, which says nothing of the root key
      }
    }

    @Override
    public void dropped() {
      if (made) {
        underWay.decrementAndGet();
        circuit.abandoned(pass);
      } else {
        circuit.left(pass);
      }
    }

    @Override
    public void left() {
      overdue.incrementAndGet();
    }

    @Override
    public void returned() {
      overdue.decrementAndGet();
    }
  }

  RootKeyHealth health() {
    int made = underWay.get();
    return new RootKeyHealth(
        circuit.state(),
        circuit.untilNextAttempt(),
        Math.max(0, inside.get() - made),
        made,
        overdue.get(),
        calls.sum(),
        attempts.sum(),
        failures.sum(),
        timeouts.sum(),
        refusals.sum(),
        Optional.ofNullable(circuit.lastFailure()));
  }

  private void requireOpen() {
    if (threads.isShutdown()) {
      throw closed();
    }
  }

  private static IllegalStateException closed() {
    return new IllegalStateException("resilient root key is closed");
  }

  /** Lets no further call in; attempts under way go on. */
  @Override
  public void close() {
    threads.shutdown();
  }
}
