package dev.sealwax.kms.guard;

import dev.sealwax.kms.cache.StackRoom;
import dev.sealwax.kms.guard.CallCircuit.Pass;
import dev.sealwax.kms.vocabulary.GuardHealth;
import dev.sealwax.kms.vocabulary.GuardHealth.Circuit;
import dev.sealwax.kms.vocabulary.GuardPolicy;
import dev.sealwax.kms.vocabulary.KmsException;
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
 * Makes the calls of a guarded root key or store: bounds how many there are, waits for a place and
 * then for a turn, asks the circuit, hands the attempt to a thread, waits for it and tries it
 * again.
 *
 * <p>The turn is the last thing that is waited for: attempts that had theirs and then waited for a
 * place would begin all at once, and one that the circuit admitted might begin after it has opened.
 * Safe for any thread.
 *
 * @param <R> the reasons of failures
 */
public final class GuardedCalls<R extends Enum<R>> implements AutoCloseable {
  /**
   * A call under way.
   *
   * @param timeoutNanos how long an attempt may take
   * @param end when its caller leaves
   */
  private record Plan<T>(
      Supplier<Task<T>> tasks,
      Predicate<KmsException> saysNothing,
      int mostAttempts,
      long timeoutNanos,
      long end) {}

  private final String name;
  private final GuardPolicy policy;
  private final GuardTiming timing;
  private final Outages<R> failing;
  private final CallCircuit<R> circuit;
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

  /**
   * Makes no call yet.
   *
   * @param name what is guarded, for the names of threads and for who uses it when it is closed
   */
  public GuardedCalls(String name, GuardPolicy policy, GuardTiming timing, Outages<R> failing) {
    this.name = name;
    this.policy = policy;
    this.timing = timing;
    this.failing = failing;
    this.circuit =
        new CallCircuit<>(policy.circuitAttempts(), policy.openTime(), timing.nanoClock(), failing);
    this.pace =
        policy.attemptsPerSecond().isEmpty()
            ? null
            : new CallPace(
                policy.attemptsPerSecond().getAsInt(), timing.nanoClock(), timing.sleeper());
    this.places = new Semaphore(policy.concurrentAttempts(), /* fair= */ true);
    // The queue is for the moment that a thread takes to come back from an attempt.
    this.threads =
        DaemonThreads.pool(
            "sealwax-" + name.replace(' ', '-'), policy.concurrentAttempts(), Integer.MAX_VALUE);
  }

  /**
   * Makes a call.
   *
   * @param tasks yields what one attempt does, for each attempt anew: one that was left behind may
   *     still work on its own
   */
  public <T> T call(Supplier<Task<T>> tasks) {
    return call(tasks, failure -> false);
  }

  /**
   * Makes a call, of which some failures say nothing about how what is called does.
   *
   * @param saysNothing which these are
   */
  public <T> T call(Supplier<Task<T>> tasks, Predicate<KmsException> saysNothing) {
    return counted(
        new Plan<>(
            tasks, saysNothing, policy.attempts(), policy.attemptTimeout().toNanos(), end()));
  }

  /** Makes a call that must not be made twice; its one attempt has until the deadline. */
  public <T> T callOnce(Supplier<Task<T>> tasks) {
    return counted(new Plan<>(tasks, failure -> false, 1, policy.deadline().toNanos(), end()));
  }

  private long end() {
    return timing.nanoClock().getAsLong() + policy.deadline().toNanos();
  }

  private <T> T counted(Plan<T> plan) {
    requireOpen();
    StackRoom.require();
    calls.increment();
    try {
      if (inside.incrementAndGet() > policy.concurrentAttempts() + policy.waitingCallers()) {
        throw refused(
            failing.busy(
                "more than "
                    + policy.waitingCallers()
                    + " callers wait for it; slow down, or allow more"));
      }
      return tried(plan);
    } finally {
      inside.decrementAndGet();
    }
  }

  private <T> T tried(Plan<T> plan) {
    KmsException failure = null;
    for (int number = 1; ; number++) {
      Attempt<T> attempt;
      try {
        attempt = begin(plan);
      } catch (KmsException refusal) {
        throw failure != null ? failure : refused(refusal);
      }
      try {
        return attempt.await(plan.end(), plan.timeoutNanos());
      } catch (KmsException e) {
        failure = e;
      }
      threads.remove(attempt);
      if (failing.outage(failure) == null
          || number == plan.mostAttempts()
          || circuit.state() == Circuit.OPEN
          || !pause(number, plan.end())) {
        throw failure;
      }
    }
  }

  private KmsException refused(KmsException refusal) {
    refusals.increment();
    return refusal;
  }

  private <T> Attempt<T> begin(Plan<T> plan) {
    if (overdue.get() >= policy.concurrentAttempts()) {
      throw failing.unavailable(
          "no attempt has returned in time, and there is no thread for another", null);
    }
    circuit.requireAdmitting();
    if (pace != null && !pace.hasTurnWithin(half(plan.end()), places.getQueueLength())) {
      throw noTurn();
    }
    try {
      if (!places.tryAcquire(remaining(plan.end()), TimeUnit.NANOSECONDS)) {
        throw failing.unavailable("other calls took all the time until the deadline", null);
      }
      return handedOver(plan);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw failing.unavailable("interrupted while waiting for its turn", e);
    }
  }

  /** Begins an attempt that has a place. */
  private <T> Attempt<T> handedOver(Plan<T> plan) throws InterruptedException {
    @Nullable Pass pass = null;
    @Nullable Task<T> task = null;
    boolean begun = false;
    try {
      pass = admitted(plan.end());
      task = plan.tasks().get();
      Attempt<T> attempt =
          new Attempt<>(
              task.endingWith(places::release),
              timing.nanoClock(),
              new Watcher(pass, plan.saysNothing(), plan.timeoutNanos()),
              failing);
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

  private KmsException noTurn() {
    return failing.busy(
        "the configured rate of "
            + policy.attemptsPerSecond().getAsInt()
            + " calls per second leaves no place in time");
  }

  private long remaining(long end) {
    return end - timing.nanoClock().getAsLong();
  }

  /** Half of what is left: who gets a turn just before the deadline only spends it. */
  private long half(long end) {
    return remaining(end) / 2;
  }

  /** Pauses before the next attempt; false if there is no time for one, or no wish. */
  private boolean pause(int attemptsMade, long end) {
    int doublings = Math.min(attemptsMade - 1, 30);
    long first = policy.firstPause().toNanos();
    long longest = policy.longestPause().toNanos();
    long most = first >= longest >> doublings ? longest : first << doublings;
    long pause = timing.chance().applyAsLong(most);
    if (pause >= remaining(end) || Thread.currentThread().isInterrupted()) {
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
    private final Predicate<KmsException> saysNothing;
    private final long timeoutNanos;
    private boolean made;

    Watcher(Pass pass, Predicate<KmsException> saysNothing, long timeoutNanos) {
      this.pass = pass;
      this.saysNothing = saysNothing;
      this.timeoutNanos = timeoutNanos;
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
      R outage = failing.outage(failure);
      if (!(failure instanceof KmsException e) || saysNothing.test(e)) {
        circuit.left(pass); // another's key, a programming error, or what is called is closed
      } else if (outage != null) {
        failures.increment();
        circuit.failed(pass, nanos, outage);
      } else {
        circuit.answered(pass, nanos);
      }
    }

    @Override
    public void timedOut(long nanos) {
      underWay.decrementAndGet();
      failures.increment();
      timeouts.increment();
      if (nanos >= Math.min(timeoutNanos, policy.deadline().toNanos()) / 2) {
        circuit.failed(pass, nanos, failing.timeoutReason());
      } else {
        circuit.abandoned(pass); // it began too late, which says nothing of what is called
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

  /** How it does; a snapshot, made without asking it. */
  public GuardHealth<R> health() {
    int made = underWay.get();
    return new GuardHealth<>(
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

  private IllegalStateException closed() {
    return new IllegalStateException("resilient " + name + " is closed");
  }

  /** Lets no further call in; attempts under way go on. */
  @Override
  public void close() {
    threads.shutdown();
  }
}
