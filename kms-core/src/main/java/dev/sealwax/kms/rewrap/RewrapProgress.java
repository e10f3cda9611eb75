package dev.sealwax.kms.rewrap;

import java.time.Duration;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * How far a job is.
 *
 * @param counts what became of the records so far, those before a resume included
 * @param total about how many there are in all sources, if they can say
 * @param recordsPerSecond records of this run over its time so far, pauses included
 * @param remaining about how long the rest will take, if {@code total} is known
 */
public record RewrapProgress(
    RewrapCounts counts,
    OptionalLong total,
    double recordsPerSecond,
    Optional<Duration> remaining) {}
