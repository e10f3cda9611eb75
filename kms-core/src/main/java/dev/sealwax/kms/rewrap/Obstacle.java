package dev.sealwax.kms.rewrap;

/** Why a key version may not be destroyed yet. */
public enum Obstacle {
  /** It is the primary: new envelopes are made under it. */
  IS_PRIMARY,
  /** The keyset has no such version. */
  NO_SUCH_VERSION,
  /** Some records could not be judged or moved; each of them may need the version. */
  RECORDS_FAILED,
  /** Records are under the version. */
  RECORDS_LEFT,
  /**
   * This scan met records under the version, so others may have appeared behind it. Scan again; the
   * scan that meets none is the one to believe.
   */
  MET_BY_THIS_SCAN,
  /**
   * When this scan began, a process that had not heard of the new primary could still write under
   * the version. Scan again with the same checkpoint, later than {@link
   * DestructionVerdict#scanAgainAfter()}.
   */
  WRITERS_MAY_REMAIN
}
