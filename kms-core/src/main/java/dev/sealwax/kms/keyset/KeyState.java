package dev.sealwax.kms.keyset;

/**
 * The state of a key version, after NIST SP 800-57 part 1 §7. Which state may follow which, and
 * what it allows, is the closed table of keyset-v1 §4.
 */
public enum KeyState {
  /** Published so that every process knows it before it is used; opens envelopes, makes none. */
  PENDING,
  /** In use: opens envelopes, and makes them while it is the primary. */
  ENABLED,
  /** Switched off; can be switched on again. */
  DISABLED,
  /**
   * Known to somebody who should not know it. The one thing left is to move data off it, by an
   * explicit re-encryption (SP 800-57 part 1 §7.5: process only under explicit policy).
   */
  COMPROMISED,
  /** Refused as if destroyed, while its destruction can still be cancelled. */
  DESTRUCTION_SCHEDULED,
  /** Its material is gone for good; the entry stays so that its number is never used again. */
  DESTROYED;

  /** Whether a version in this state may be used so. */
  public boolean allows(KeyUse use) {
    return switch (this) {
      case PENDING -> use != KeyUse.ENCRYPT;
      case ENABLED -> true;
      case COMPROMISED -> use == KeyUse.REENCRYPT;
      case DISABLED, DESTRUCTION_SCHEDULED, DESTROYED -> false;
    };
  }

  /** Whether a version in this state may be used at all, so that its key is worth keeping. */
  boolean allowsAny() {
    return allows(KeyUse.REENCRYPT);
  }

  /** Whether a version in this state may come to be in {@code next}; never true for the same. */
  public boolean canBecome(KeyState next) {
    return switch (this) {
      case PENDING ->
          next == ENABLED
              || next == DISABLED
              || next == COMPROMISED
              || next == DESTRUCTION_SCHEDULED;
      case ENABLED -> next == DISABLED || next == COMPROMISED || next == DESTRUCTION_SCHEDULED;
      case DISABLED -> next == ENABLED || next == COMPROMISED || next == DESTRUCTION_SCHEDULED;
      case COMPROMISED -> next == DESTRUCTION_SCHEDULED;
      case DESTRUCTION_SCHEDULED -> next == DISABLED || next == COMPROMISED || next == DESTROYED;
      case DESTROYED -> false;
    };
  }
}
