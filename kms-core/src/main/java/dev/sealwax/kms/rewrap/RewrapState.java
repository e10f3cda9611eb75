package dev.sealwax.kms.rewrap;

import java.time.Instant;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * How far a job has come: what a checkpoint holds. Immutable.
 *
 * @param job what it does
 * @param startedAt when its scan began, whole seconds
 * @param sources the identities of all its sources, in order
 * @param at the source under way; the number of sources when the scan is complete
 * @param position the last record done in that source, or null if none is
 * @param targets the keysets, ascending
 * @param counts what became of all records up to the position
 * @param versions the same by version, ascending
 */
record RewrapState(
    RewrapJob job,
    Instant startedAt,
    List<String> sources,
    int at,
    @Nullable String position,
    List<MoveTarget> targets,
    RewrapCounts counts,
    List<VersionCount> versions) {
  boolean isComplete() {
    return at == sources.size();
  }
}
