package dev.sealwax.kms.keyset;

import java.util.EnumSet;
import java.util.Set;

/**
 * The state of a key version, after NIST SP 800-57 part 1 §7. Which state may follow which, and
 * what it allows, is the closed table of keyset-v1 §4.
 */
public enum KeyState {
  /** Published so that every process knows it before it is used; opens envelopes, makes none. */
  PENDING(EnumSet.of(KeyUse.DECRYPT, KeyUse.REWRAP, KeyUse.REENCRYPT)),
  /** In use: opens envelopes, and makes them while it is the primary. */
  ENABLED(EnumSet.allOf(KeyUse.class)),
  /** Switched off; can be switched on again. */
  DISABLED(EnumSet.noneOf(KeyUse.class)),
  /**
   * Known to somebody who should not know it: nothing it protects can be believed or kept secret by
   * it, so the one thing left is to move data off it by an explicit re-encryption (SP 800-57 part 1
   * §7.5: process only under explicit policy).
   */
  COMPROMISED(EnumSet.of(KeyUse.REENCRYPT)),
  /** Refused as if destroyed, while its destruction can still be cancelled. */
  DESTRUCTION_SCHEDULED(EnumSet.noneOf(KeyUse.class)),
  /** Its material is gone for good; the entry stays so that its number is never used again. */
  DESTROYED(EnumSet.noneOf(KeyUse.class));

  private final Set<KeyUse> uses;

  KeyState(Set<KeyUse> uses) {
    this.uses = uses;
  }

  /** Whether a version in this state may be used so. */
  public boolean allows(KeyUse use) {
    return uses.contains(use);
  }

  /**
   * Whether a version in this state may be used at all, so that its key is worth keeping in memory.
   */
  boolean allowsAny() {
    return !uses.isEmpty();
  }

  /**
   * Whether a version in this state may come to be in {@code next}; never true for the same state.
   */
  public boolean canBecome(KeyState next) {
    return switch (this) {
      case PENDING, DISABLED ->
          next == ENABLED
              || next == COMPROMISED
              || next == DESTRUCTION_SCHEDULED
              || (this == PENDING && next == DISABLED);
      case ENABLED -> next == DISABLED || next == COMPROMISED || next == DESTRUCTION_SCHEDULED;
      case COMPROMISED -> next == DESTRUCTION_SCHEDULED;
      case DESTRUCTION_SCHEDULED -> next == DISABLED || next == COMPROMISED || next == DESTROYED;
      case DESTROYED -> false;
    };
  }
}
