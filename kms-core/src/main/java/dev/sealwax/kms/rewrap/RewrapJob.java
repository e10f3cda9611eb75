package dev.sealwax.kms.rewrap;

/** What a {@link Rewrapper} does with the records it scans. */
public enum RewrapJob {
  /** Moves them to the primary. */
  MOVE,
  /** Says what would be moved; writes nothing to the sources. */
  DRY_RUN,
  /** Checks that they unwrap, and with the caller's check that they open; writes nothing. */
  VERIFY
}
