package dev.sealwax.kms.keyset;

import dev.sealwax.kms.vocabulary.KeysetId;
import org.jspecify.annotations.Nullable;

/**
 * What a {@link KeysetScheduler} has done with a keyset, or could not do. Holds no secret.
 *
 * @param outcome what happened
 * @param version the version concerned, or 0 if it is the whole keyset
 * @param failure what was thrown; present if and only if the outcome is FAILED
 */
public record ScheduledChange(
    KeysetId keyset, Outcome outcome, int version, @Nullable RuntimeException failure) {
  /** What happened. */
  public enum Outcome {
    /** This process has published a version, because rotation is due. */
    PUBLISHED,
    /** This process has made the published version the primary: the keyset is rotated. */
    PROMOTED,
    /** This process has destroyed the version, whose destruction was due. */
    DESTROYED,
    /** This process has had root keys of a quorum wrap that were missing; not all, perhaps. */
    WRAPS_REPAIRED,
    /**
     * Something has been due for several looks and has not happened: the primary is switched off, a
     * process with a clock ahead has published the version, data needs what should be destroyed, a
     * root key of a quorum stays away, or looks fail.
     */
    MISSED,
    /** The keyset could not be looked at or changed; it is tried again, less and less often. */
    FAILED
  }
}
