package dev.sealwax.kms.rewrap;

/** What became of one {@link HeaderChange}. */
public enum ReplaceOutcome {
  /** The record has the new header, durably. */
  REPLACED,
  /** The record no longer starts with the old header; nothing was written. It is read anew. */
  CHANGED_MEANWHILE,
  /** There is no such record any more; nothing was written. */
  GONE,
  /**
   * The place refuses to change this one record, for instance by a trigger or by the permissions of
   * a file; nothing was written.
   */
  REFUSED
}
