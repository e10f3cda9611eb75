package dev.sealwax.kms.rootkey;

import java.time.Duration;

/**
 * The limits of a {@link ResilientRootKey}, as its builder says.
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
