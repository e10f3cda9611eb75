package dev.sealwax.kms.guard;

import java.time.Duration;

/**
 * The limits of a guard, as its {@link GuardSettings} say.
 *
 * @param callsPerSecond 0 for no limit
 */
record GuardLimits(
    long deadlineNanos,
    int attempts,
    long attemptTimeoutNanos,
    long firstPauseNanos,
    long longestPauseNanos,
    int circuitAttempts,
    Duration openTime,
    int callsPerSecond,
    int concurrentCalls,
    int waitingCalls) {}
