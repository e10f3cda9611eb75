package dev.sealwax.kms.vocabulary;

import java.util.Objects;

/**
 * The key version that the operation needs may not be used. What to do depends on the {@link
 * Reason}; retrying without an operator's action does not help.
 */
public final class KeyUnavailableException extends KmsException {
  private static final long serialVersionUID = 1L;

  /** Why the version may not be used. */
  public enum Reason {
    /** The envelope names another keyset; decrypt with the cipher of that keyset. */
    OTHER_KEYSET,
    /**
     * The keyset has no such version, even after a fresh look into the store; check store and data
     * belong together.
     */
    UNKNOWN_VERSION,
    /** Published but not promoted yet, so it does not encrypt; promote it. */
    PENDING,
    /** Disabled by an operator; enable it to use it again. */
    DISABLED,
    /** Marked compromised; {@code reencrypt} is the only operation still open to its data. */
    COMPROMISED,
    /**
     * The date on which it or its keyset expires has passed; move that date to use it again, or
     * rotate to encrypt.
     */
    EXPIRED,
    /** Waiting for its destruction; cancel that to use it again. */
    DESTRUCTION_SCHEDULED,
    /** Its material is gone for good, and with it the data. */
    DESTROYED
  }

  private final Reason reason;
  private final KeysetId keyset;
  private final int version;

  public KeyUnavailableException(Reason reason, KeysetId keyset, int version, String problem) {
    super(
        "keyset " + keyset + " version " + version + " is unavailable (" + reason + "): " + problem,
        null);
    this.reason = Objects.requireNonNull(reason, "reason");
    this.keyset = Objects.requireNonNull(keyset, "keyset id");
    this.version = version;
  }

  private KeyUnavailableException(KeyUnavailableException original) {
    super(original);
    this.reason = original.reason;
    this.keyset = original.keyset;
    this.version = original.version;
  }

  public Reason reason() {
    return reason;
  }

  /** The keyset that the operation ran on. */
  public KeysetId keyset() {
    return keyset;
  }

  /** The key version asked for. */
  public int version() {
    return version;
  }

  @Override
  public KeyUnavailableException forAnotherCaller() {
    return new KeyUnavailableException(this);
  }
}
