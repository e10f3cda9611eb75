package dev.sealwax.kms.rootkey;

import dev.sealwax.kms.guard.GuardTiming;
import dev.sealwax.kms.vocabulary.GuardHealth;
import dev.sealwax.kms.vocabulary.GuardPolicy;
import dev.sealwax.kms.vocabulary.RootKeyException;

/**
 * A root key that answers within a deadline whatever the one behind it does, tries again what may
 * succeed, and leaves a service alone that is down. How, and within which limits, is said at {@link
 * GuardPolicy}.
 *
 * <p>Tried again is what failed for a {@linkplain RootKeyException.Reason#isRetryable retryable}
 * reason. Any other answer, denied or disabled for instance, is passed on at once.
 *
 * <p>What it throws beyond what the root key does: {@code RootKeyException} with {@code
 * UNAVAILABLE} if there is no answer in time, the circuit is open or the caller is interrupted;
 * with {@code THROTTLED} if too many wait, or the configured rate leaves no place within half of
 * the deadline. What an attempt yields whose caller has given up is wiped.
 *
 * <p>It signs ({@link SigningRootKey}) if and only if the root key behind it does. Owns that one
 * and closes it; safe for concurrent use. Switch off the retries of the client below, or set {@link
 * GuardPolicy#withAttempts} to one: both together multiply.
 */
public sealed interface ResilientRootKey extends RootKey permits GuardedRootKey {
  /** Guards {@code rootKey} by the defaults; its ownership passes when this returns. */
  static ResilientRootKey around(RootKey rootKey) {
    return around(rootKey, GuardPolicy.defaults());
  }

  /**
   * Guards {@code rootKey}, whose ownership passes when this returns; guard none twice. Nothing is
   * called yet.
   */
  static ResilientRootKey around(RootKey rootKey, GuardPolicy policy) {
    return GuardedRootKey.around(rootKey, policy, GuardTiming.SYSTEM);
  }

  /** How it does; a snapshot, made without asking the root key. */
  GuardHealth<RootKeyException.Reason> health();
}
