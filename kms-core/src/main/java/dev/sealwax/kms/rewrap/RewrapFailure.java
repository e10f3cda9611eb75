package dev.sealwax.kms.rewrap;

/**
 * A record that was not moved, or did not stand its check, and why. Others go on.
 *
 * @param source the {@linkplain EnvelopeSource#identity() identity} of its source
 * @param recordId its id, which may be sensitive
 * @param reason why
 */
public record RewrapFailure(String source, String recordId, Reason reason) {
  /** Why a record failed, and what to do about it. */
  public enum Reason {
    /** What stands there is no envelope; find out who wrote it. */
    NOT_AN_ENVELOPE,
    /**
     * The header is not authentic: damaged, forged, or of another keyset of the same name. Restore
     * the record from a backup; find out who wrote it.
     */
    NOT_AUTHENTIC,
    /**
     * Its version is {@code COMPROMISED}, and moving the header would leave a data key that others
     * may know: re-encrypt it, which needs its context, by {@link
     * Rewrapper.Builder#reencryptCompromised} or by hand.
     */
    NEEDS_REENCRYPT,
    /**
     * Its version is {@code COMPROMISED} and it does not open, so it was not re-encrypted: the
     * context that was given is not its own, or it is damaged or forged.
     */
    NOT_REENCRYPTED,
    /** Its version is disabled; enable it for as long as the job lasts. */
    VERSION_DISABLED,
    /** The key version has expired; move that date for as long as the job lasts. */
    VERSION_EXPIRED,
    /** Its version waits for destruction; cancel that, enable it, and run again. */
    VERSION_DESTRUCTION_SCHEDULED,
    /** Its version is destroyed, and with it the data. */
    VERSION_DESTROYED,
    /** The keyset has no such version; check that store and data belong together. */
    VERSION_UNKNOWN,
    /** The source cannot read it; see its place. */
    UNREADABLE,
    /** The source refuses to write it; see its place. */
    WRITE_REFUSED,
    /** It changed each time it was to be written; run again when the application is calmer. */
    KEEPS_CHANGING,
    /** The check that the caller supplied does not accept it. */
    CHECK_FAILED
  }

  /** Source and reason, without the id. */
  @Override
  public String toString() {
    return "RewrapFailure[" + source + ", " + reason + "]";
  }
}
