package dev.sealwax.kms.guard;

import java.time.Duration;
import java.util.Objects;

/** Collects and checks the limits of a guard, for its builder. For one thread. */
public final class GuardSettings {
  private static final Duration LONGEST = Duration.ofDays(1);

  private Duration deadline = Duration.ofSeconds(5);
  private int attempts = 3;
  private Duration attemptTimeout = Duration.ofSeconds(2);
  private Duration firstPause = Duration.ofMillis(50);
  private Duration longestPause = Duration.ofSeconds(1);
  private int circuitAttempts = 10;
  private Duration openTime = Duration.ofMillis(500);
  private int callsPerSecond;
  private int concurrentCalls = 16;
  private int waitingCalls = 1024;
  private GuardTiming timing = GuardTiming.SYSTEM;

  /** The defaults. */
  public GuardSettings() {}

  public void deadline(Duration deadline) {
    this.deadline = inRange(deadline, "deadline");
  }

  public void attempts(int most, Duration timeout) {
    this.attempts = inRange(most, 1, 100, "attempts");
    this.attemptTimeout = inRange(timeout, "timeout of an attempt");
  }

  public void pauses(Duration first, Duration longest) {
    Objects.requireNonNull(longest, "longest pause");
    inRange(first, "first pause");
    inRange(longest, "longest pause");
    if (first.compareTo(longest) > 0) {
      throw new IllegalArgumentException(
          "first pause must be at most the longest, got " + first + " and " + longest);
    }
    this.firstPause = first;
    this.longestPause = longest;
  }

  public void circuit(int attempts, Duration openTime) {
    this.circuitAttempts = inRange(attempts, 1, 1000, "attempts that the circuit looks at");
    this.openTime = inRange(openTime, "open time");
  }

  public void rate(int callsPerSecond) {
    this.callsPerSecond = inRange(callsPerSecond, 1, 1_000_000, "calls per second");
  }

  public void concurrency(int calls, int waiting) {
    this.concurrentCalls = inRange(calls, 1, 1000, "concurrent calls");
    this.waitingCalls = inRange(waiting, 0, 1_000_000, "waiting callers");
  }

  /** Clock and chance, for tests. */
  public void timing(GuardTiming timing) {
    this.timing = timing;
  }

  GuardTiming timing() {
    return timing;
  }

  GuardLimits limits() {
    return new GuardLimits(
        deadline.toNanos(),
        attempts,
        attemptTimeout.toNanos(),
        firstPause.toNanos(),
        longestPause.toNanos(),
        circuitAttempts,
        openTime,
        callsPerSecond,
        concurrentCalls,
        waitingCalls);
  }

  private static Duration inRange(Duration value, String name) {
    Objects.requireNonNull(value, name);
    if (value.compareTo(Duration.ofMillis(1)) < 0 || value.compareTo(LONGEST) > 0) {
      throw new IllegalArgumentException(name + " must be 1 ms to 1 day, got " + value);
    }
    return value;
  }

  private static int inRange(int value, int least, int most, String name) {
    if (value < least || value > most) {
      throw new IllegalArgumentException(
          name + " must be " + least + " to " + most + ", got " + value);
    }
    return value;
  }
}
