package dev.sealwax.kms.store;

import dev.sealwax.kms.guard.GuardTiming;
import dev.sealwax.kms.vocabulary.GuardHealth;
import dev.sealwax.kms.vocabulary.GuardPolicy;
import dev.sealwax.kms.vocabulary.KeysetStoreException;

/**
 * A keyset store that answers within a deadline whatever the one behind it does, repeats reads that
 * may succeed, and leaves a database alone that is down. How, and within which limits, is said at
 * {@link GuardPolicy}. For stores across a network; one on a local disk gains nothing, and H2 on a
 * disk closes its file when a call is interrupted.
 *
 * <p>Reads are repeated if they failed as {@link KeysetStoreException.Reason#UNAVAILABLE}. Any
 * other answer, such as a conflict or a missing table, is passed on at once.
 *
 * <p><b>Writes are never repeated here.</b> One that has no answer in time is {@code UNAVAILABLE},
 * and may take effect later: load to see, and again while {@link GuardHealth#attemptsOverdue} is
 * not 0. What this store throws of its own is {@code UNAVAILABLE}: no answer in time, the circuit
 * is open, too many callers wait, the rate leaves no place, or the caller was interrupted. {@link
 * #close} may wait for a call whose caller has given up if the store does.
 *
 * <p>It tells what was written ({@link WatchableKeysetStore}) if and only if the store behind it
 * does. That question is tried once, because it is asked again at the next interval; the wait for a
 * write has no deadline but the caller's own. Owns the store and closes it; safe for concurrent
 * use.
 */
public sealed interface ResilientKeysetStore extends KeysetStore permits GuardedKeysetStore {
  /**
   * Guards {@code store} by the defaults; its ownership passes when this returns. An attempt has 2
   * seconds then: let a statement take less.
   */
  static ResilientKeysetStore around(KeysetStore store) {
    return around(store, GuardPolicy.defaults());
  }

  /**
   * Guards {@code store}, whose ownership passes when this returns; guard none twice. Nothing is
   * called yet.
   */
  static ResilientKeysetStore around(KeysetStore store, GuardPolicy policy) {
    return GuardedKeysetStore.around(store, policy, GuardTiming.SYSTEM);
  }

  /** How it does; a snapshot, made without asking the store. */
  GuardHealth<KeysetStoreException.Reason> health();
}
