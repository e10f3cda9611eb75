package dev.sealwax.kms.rootkey;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.THROTTLED;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNAVAILABLE;

import dev.sealwax.kms.rootkey.Attempt.Task;
import dev.sealwax.kms.rootkey.CallCircuit.Pass;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.util.Optional;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Makes the calls of a {@link ResilientRootKey}: bounds how many there are, lets each through the
 * circuit and at its pace, hands it to a thread, waits for it and tries it again.
 *
 * <p>Holds no lock while it waits. Safe for any thread.
 */
final class GuardedCalls implements AutoCloseable {
  private static final long THREAD_IDLE_SECONDS = 10;

  private final GuardLimits limits;
  private final GuardTiming timing;
  private final CallCircuit circuit;
  private final @Nullable CallPace pace;
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
            : new CallPace(limits.callsPerSecond(), timing.nanoClock());
    // The queue is bounded by the callers, of whom each waits for one attempt.
    this.threads =
        new ThreadPoolExecutor(
            limits.concurrentCalls(),
            limits.concurrentCalls(),
            THREAD_IDLE_SECONDS,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(),
            GuardedCalls::daemon);
    threads.allowCoreThreadTimeOut(true);
  }

  private static Thread daemon(Runnable work) {
    Thread thread = new Thread(work, "sealwax-root-key");
    thread.setDaemon(true);
    return thread;
  }

  /**
   * Makes a call.
   *
   * @param tasks yields what one attempt does, for each attempt anew: one that was left behind may
   *     still work on its own
   */
  <T> T call(Supplier<Task<T>> tasks) {
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
      return tried(tasks, timing.nanoClock().getAsLong() + limits.deadlineNanos());
    } finally {
      inside.decrementAndGet();
    }
  }

  private <T> T tried(Supplier<Task<T>> tasks, long end) {
    RootKeyException failure = null;
    for (int number = 1; ; number++) {
      Attempt<T> attempt;
      try {
        attempt = begin(tasks, end);
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

  private <T> Attempt<T> begin(Supplier<Task<T>> tasks, long end) {
    if (overdue.get() >= limits.concurrentCalls()) {
      throw new RootKeyException(
          UNAVAILABLE, "no attempt has returned in time, and there is no thread for another");
    }
    Pass pass = circuit.enter();
    @Nullable Task<T> task = null;
    boolean begun = false;
    try {
      waitForTurn(end);
      task = tasks.get();
      Attempt<T> attempt = new Attempt<>(task, timing.nanoClock(), new Watcher(pass));
      threads.execute(attempt);
      begun = true;
      return attempt;
    } catch (RejectedExecutionException e) {
      throw closed();
    } finally {
      if (!begun) {
        circuit.left(pass);
        if (task != null) {
          task.end().run();
        }
      }
    }
  }

  private void waitForTurn(long end) {
    if (pace == null) {
      return;
    }
    // Half of what is left: who gets a turn just before the deadline only spends it.
    long wait = pace.takeTurn((end - timing.nanoClock().getAsLong()) / 2);
    if (wait == CallPace.NO_TURN) {
      throw new RootKeyException(
          THROTTLED,
          "the configured rate of "
              + limits.callsPerSecond()
              + " calls per second leaves no place in time");
    }
    if (wait > 0 && !sleep(wait)) {
      throw new RootKeyException(UNAVAILABLE, "interrupted while waiting for a turn");
    }
  }

  /** Pauses before the next attempt; false if there is no time for one, or no wish. */
  private boolean pause(int attemptsMade, long end) {
    int doublings = Math.min(attemptsMade - 1, 30);
    long most =
        limits.firstPauseNanos() >= limits.longestPauseNanos() >> doublings
            ? limits.longestPauseNanos()
            : limits.firstPauseNanos() << doublings;
    long pause = timing.chance().applyAsLong(most);
    return pause < end - timing.nanoClock().getAsLong()
        && !Thread.currentThread().isInterrupted()
        && sleep(pause);
  }

  /** False if interrupted, which the thread stays. */
  private boolean sleep(long nanos) {
    try {
      timing.sleeper().sleep(nanos);
      return true;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }

  /** Tells circuit and counters of one attempt. */
  private final class Watcher implements Attempt.Observer {
    private final Pass pass;
    private boolean made;

    Watcher(Pass pass) {
      this.pass = pass;
    }

    @Override
    public @Nullable RootKeyException begins() {
      if (circuit.state() == RootKeyHealth.Circuit.OPEN) {
        return refused(circuit.refusal()); // it opened while this attempt waited for a thread
      }
      made = true;
      attempts.increment();
      underWay.incrementAndGet();
      return null;
    }

    @Override
    public void succeeded(long nanos) {
      underWay.decrementAndGet();
      circuit.answered(pass, nanos);
    }

    @Override
    public void failed(Throwable failure, long nanos) {
      underWay.decrementAndGet();
      if (!(failure instanceof RootKeyException e)) {
        circuit.left(pass); // a programming error, or a root key that is closed
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
        circuit.left(pass); // it began too late, which says nothing of the root key
      }
    }

    @Override
    public void dropped() {
      if (made) {
        underWay.decrementAndGet();
      }
      circuit.left(pass);
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
