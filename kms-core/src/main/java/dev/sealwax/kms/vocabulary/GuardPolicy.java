package dev.sealwax.kms.vocabulary;

import java.time.Duration;
import java.util.Objects;
import java.util.OptionalInt;

/**
 * How long the callers of a {@code ResilientRootKey} or a {@code ResilientKeysetStore} wait, how
 * often a call is tried, and how many there may be. Immutable; a value, with the same defaults for
 * both.
 *
 * <p>A call is made by a thread of a pool while the caller waits. Of its attempts each has a time
 * of its own; the next begins after a random pause, and only if the last failed for a retryable
 * reason or gave no answer in time. When half of the last attempts have failed so, the circuit
 * opens: calls fail at once, and one in a while is let through to see whether the service is back.
 * Any other answer is passed on as it is: it neither opens the circuit nor is asked for again. An
 * attempt whose caller has given up is interrupted; it keeps its thread and its place until it
 * ends.
 */
public final class GuardPolicy {
  private static final Duration LONGEST = Duration.ofDays(1);

  private static final GuardPolicy DEFAULTS =
      new GuardPolicy(
          Duration.ofSeconds(5),
          new Attempts(3, Duration.ofSeconds(2)),
          new Pauses(Duration.ofMillis(50), Duration.ofSeconds(1)),
          new Circuit(10, Duration.ofMillis(500)),
          0,
          new Concurrency(16, 1024));

  private record Attempts(int most, Duration timeout) {
    Attempts {
      requireWithin(most, 1, 100, "attempts");
      requireWithin(timeout, "timeout of an attempt");
    }
  }

  private record Pauses(Duration first, Duration longest) {
    Pauses {
      Objects.requireNonNull(longest, "longest pause");
      requireWithin(first, "first pause");
      requireWithin(longest, "longest pause");
      if (first.compareTo(longest) > 0) {
        throw new IllegalArgumentException(
            "first pause must be at most the longest, got " + first + " and " + longest);
      }
    }
  }

  private record Circuit(int attempts, Duration openTime) {
    Circuit {
      requireWithin(attempts, 1, 1000, "attempts that the circuit looks at");
      requireWithin(openTime, "open time");
    }
  }

  private record Concurrency(int calls, int waiting) {
    Concurrency {
      requireWithin(calls, 1, 1000, "concurrent calls");
      requireWithin(waiting, 0, 1_000_000, "waiting callers");
    }
  }

  private final Duration deadline;
  private final Attempts attempts;
  private final Pauses pauses;
  private final Circuit circuit;
  private final int rate; // 0 for any
  private final Concurrency concurrency;

  private GuardPolicy(
      Duration deadline,
      Attempts attempts,
      Pauses pauses,
      Circuit circuit,
      int rate,
      Concurrency concurrency) {
    this.deadline = deadline;
    this.attempts = attempts;
    this.pauses = pauses;
    this.circuit = circuit;
    this.rate = rate;
    this.concurrency = concurrency;
  }

  /**
   * A deadline of 5 seconds; 3 attempts of 2 seconds each, of which two fit into it where nothing
   * answers; pauses of up to 50 ms first and 1 second at most; a circuit that looks at 10 attempts
   * and is open for half a second; any rate; 16 attempts at the same time, and 1,024 more callers
   * who wait.
   */
  public static GuardPolicy defaults() {
    return DEFAULTS;
  }

  /**
   * The same policy with another time that a caller waits at most, all attempts and pauses
   * included.
   *
   * @throws IllegalArgumentException if not within 1 ms and one day
   */
  public GuardPolicy withDeadline(Duration deadline) {
    requireWithin(deadline, "deadline");
    return new GuardPolicy(deadline, attempts, pauses, circuit, rate, concurrency);
  }

  /**
   * The same policy with another number of times that a call is tried, and another time that each
   * attempt may take. The deadline cuts it short: for longer attempts set {@link #withDeadline} as
   * well. The writes of a store, and its question for changes, are tried once, until the deadline.
   *
   * @throws IllegalArgumentException if {@code most} is not within 1 and 100, or {@code timeout}
   *     not within 1 ms and one day
   */
  public GuardPolicy withAttempts(int most, Duration timeout) {
    Attempts changed = new Attempts(most, timeout);
    return new GuardPolicy(deadline, changed, pauses, circuit, rate, concurrency);
  }

  /**
   * The same policy with other pauses: the one before the second attempt is random up to {@code
   * first}; the limit doubles with each further one, up to {@code longest}.
   *
   * @throws IllegalArgumentException if one is not within 1 ms and one day, or the first is longer
   */
  public GuardPolicy withPauses(Duration first, Duration longest) {
    Pauses changed = new Pauses(first, longest);
    return new GuardPolicy(deadline, attempts, changed, circuit, rate, concurrency);
  }

  /**
   * The same policy with a circuit that opens when half of the last {@code attempts} have failed,
   * and at least half as many were made; after {@code openTime} one attempt is let through, and
   * another whenever as much time has passed without an answer. The first that succeeds closes it.
   * What has opened it is not tried again, so one that looks at fewer than four attempts leaves few
   * second ones.
   *
   * @throws IllegalArgumentException if {@code attempts} is not within 1 and 1,000, or {@code
   *     openTime} not within 1 ms and one day
   */
  public GuardPolicy withCircuit(int attempts, Duration openTime) {
    Circuit changed = new Circuit(attempts, openTime);
    return new GuardPolicy(deadline, this.attempts, pauses, changed, rate, concurrency);
  }

  /**
   * The same policy with a rate: at most so many attempts begin within a second, evenly spaced. A
   * caller whose turn would not come within half of its time is refused at once. It counts for each
   * guard, also where several have the same policy: divide a quota by the guards of all processes.
   * To take it away again, begin with {@link #defaults}.
   *
   * @throws IllegalArgumentException if not within 1 and 1,000,000
   */
  public GuardPolicy withRate(int attemptsPerSecond) {
    requireWithin(attemptsPerSecond, 1, 1_000_000, "attempts per second");
    return new GuardPolicy(deadline, attempts, pauses, circuit, attemptsPerSecond, concurrency);
  }

  /**
   * The same policy with another number of attempts that are made at the same time, each by a
   * thread, and of further callers who may wait; those beyond fail at once. For a store, more than
   * its pool has connections are no use.
   *
   * @throws IllegalArgumentException if {@code calls} is not within 1 and 1,000, or {@code waiting}
   *     not within 0 and 1,000,000
   */
  public GuardPolicy withConcurrency(int calls, int waiting) {
    Concurrency changed = new Concurrency(calls, waiting);
    return new GuardPolicy(deadline, attempts, pauses, circuit, rate, changed);
  }

  private static void requireWithin(Duration value, String name) {
    Objects.requireNonNull(value, name);
    if (value.compareTo(Duration.ofMillis(1)) < 0 || value.compareTo(LONGEST) > 0) {
      throw new IllegalArgumentException(name + " must be 1 ms to 1 day, got " + value);
    }
  }

  private static void requireWithin(int value, int least, int most, String name) {
    if (value < least || value > most) {
      throw new IllegalArgumentException(
          name + " must be " + least + " to " + most + ", got " + value);
    }
  }

  /** How long a caller waits at most. */
  public Duration deadline() {
    return deadline;
  }

  /** How often a call is tried at most. */
  public int attempts() {
    return attempts.most();
  }

  /** How long an attempt may take. */
  public Duration attemptTimeout() {
    return attempts.timeout();
  }

  /** The limit of the pause before the second attempt. */
  public Duration firstPause() {
    return pauses.first();
  }

  /** The limit of any pause. */
  public Duration longestPause() {
    return pauses.longest();
  }

  /** Of how many attempts half must fail for the circuit to open. */
  public int circuitAttempts() {
    return circuit.attempts();
  }

  /** How long the circuit is open before an attempt is let through. */
  public Duration openTime() {
    return circuit.openTime();
  }

  /** How many attempts may begin within a second, if that is limited. */
  public OptionalInt attemptsPerSecond() {
    return rate == 0 ? OptionalInt.empty() : OptionalInt.of(rate);
  }

  /** How many attempts may be made at the same time. */
  public int concurrentAttempts() {
    return concurrency.calls();
  }

  /** How many more callers may wait. */
  public int waitingCallers() {
    return concurrency.waiting();
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof GuardPolicy policy
        && deadline.equals(policy.deadline)
        && attempts.equals(policy.attempts)
        && pauses.equals(policy.pauses)
        && circuit.equals(policy.circuit)
        && rate == policy.rate
        && concurrency.equals(policy.concurrency);
  }

  @Override
  public int hashCode() {
    return Objects.hash(deadline, attempts, pauses, circuit, rate, concurrency);
  }

  @Override
  public String toString() {
    return String.format(
        "GuardPolicy[deadline %s, %d attempts of %s, pauses %s to %s, circuit of %d attempts open"
            + " for %s, %s calls a second, %d at once, %d waiting]",
        deadline,
        attempts.most(),
        attempts.timeout(),
        pauses.first(),
        pauses.longest(),
        circuit.attempts(),
        circuit.openTime(),
        rate == 0 ? "any" : rate,
        concurrency.calls(),
        concurrency.waiting());
  }
}
