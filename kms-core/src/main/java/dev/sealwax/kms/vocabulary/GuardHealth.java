package dev.sealwax.kms.vocabulary;

import java.time.Duration;
import java.util.Optional;

/**
 * How a guarded root key or keyset store does; a snapshot, whose counters run since it was guarded.
 *
 * @param <R> the reasons of its failures
 * @param circuit whether it is called
 * @param untilNextAttempt how long calls will still fail at once; zero unless the circuit is open
 * @param callsWaiting callers that wait for a turn, a thread or the end of a pause
 * @param attemptsUnderWay attempts whose callers wait for the answer
 * @param attemptsOverdue attempts whose callers have given up, and which have not ended
 * @param calls calls so far
 * @param attempts attempts that were begun
 * @param failures attempts that failed for a retryable reason, or gave no answer in time
 * @param timeouts of these, those that gave no answer in time
 * @param refusals calls that ended without an attempt: the circuit was open, too many waited, or
 *     there was no place before the deadline
 * @param lastFailure why an attempt last failed so, if ever
 */
public record GuardHealth<R extends Enum<R>>(
    Circuit circuit,
    Duration untilNextAttempt,
    int callsWaiting,
    int attemptsUnderWay,
    int attemptsOverdue,
    long calls,
    long attempts,
    long failures,
    long timeouts,
    long refusals,
    Optional<R> lastFailure) {
  /** Whether what is guarded is called. */
  public enum Circuit {
    /** It is. */
    CLOSED,
    /** It has failed too often; calls fail at once. */
    OPEN,
    /**
     * It has been left alone for long enough; the next call, or one under way, shows if it is back.
     */
    HALF_OPEN
  }
}
