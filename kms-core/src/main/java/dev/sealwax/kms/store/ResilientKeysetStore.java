package dev.sealwax.kms.store;

import dev.sealwax.kms.guard.GuardSettings;
import dev.sealwax.kms.guard.GuardTiming;
import dev.sealwax.kms.guard.GuardedCalls;
import dev.sealwax.kms.vocabulary.GuardHealth;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import java.time.Duration;
import java.util.Objects;

/**
 * A keyset store that answers within a deadline whatever the one behind it does, repeats reads that
 * may succeed, and leaves a database alone that is down. For stores across a network; one on a
 * local disk gains nothing, and H2 on a disk closes its file when a call is interrupted.
 *
 * <p>As with a {@link dev.sealwax.kms.rootkey.ResilientRootKey}, a call is made by a thread of a
 * pool while the caller waits; reads are repeated after a random pause if they failed as {@link
 * KeysetStoreException.Reason#UNAVAILABLE}; when half of the last attempts have failed so, the
 * circuit opens, and one call in a while finds out whether the store is back. Every other answer,
 * such as a conflict or a missing table, is passed on at once.
 *
 * <p><b>Writes are never repeated here.</b> One that has no answer in time is {@code UNAVAILABLE},
 * and may take effect later: load to see, and again while {@link GuardHealth#attemptsOverdue} is
 * not 0. What this store throws of its own is {@code UNAVAILABLE}: no answer in time, the circuit
 * is open, too many callers wait, or the caller was interrupted. A call whose caller has given up
 * is interrupted, and keeps its thread and its place until it ends; {@link #close} may wait for
 * such a call if the store does.
 *
 * <p>It tells what was written ({@link WatchableKeysetStore}) if and only if the store behind it
 * does. That question is tried once, because it is asked again at the next interval; the wait for a
 * write has no deadline but the caller's own. Owns the store and closes it; safe for concurrent
 * use.
 */
public sealed interface ResilientKeysetStore extends KeysetStore permits GuardedKeysetStore {
  /** Starts to guard {@code store}, whose ownership passes with {@link Builder#build}. */
  static Builder builder(KeysetStore store) {
    return new Builder(Objects.requireNonNull(store, "store"));
  }

  /** How it does; a snapshot, made without asking the store. */
  GuardHealth<KeysetStoreException.Reason> health();

  /** Collects the limits of a {@link ResilientKeysetStore}. For one thread. */
  final class Builder {
    private final KeysetStore store;
    private final GuardSettings settings = new GuardSettings();
    private boolean built;

    private Builder(KeysetStore store) {
      this.store = store;
    }

    /**
     * How long a caller waits at most, all attempts and pauses included; 5 seconds if not set.
     *
     * @throws IllegalArgumentException if not within 1 ms and one day
     */
    public Builder deadline(Duration deadline) {
      settings.deadline(deadline);
      return this;
    }

    /**
     * How often a read is tried, and how long each attempt may take; 3 times 2 seconds if not set.
     * A write is tried once, until the deadline.
     *
     * @throws IllegalArgumentException if {@code most} is not within 1 and 100, or {@code timeout}
     *     not within 1 ms and one day
     */
    public Builder attempts(int most, Duration timeout) {
      settings.attempts(most, timeout);
      return this;
    }

    /**
     * The pause before the second attempt is random up to {@code first}; the limit doubles with
     * each further one, up to {@code longest}. If not set, 50 ms and 1 second.
     *
     * @throws IllegalArgumentException if one is not within 1 ms and one day, or the first is
     *     longer
     */
    public Builder pauses(Duration first, Duration longest) {
      settings.pauses(first, longest);
      return this;
    }

    /**
     * The circuit opens when half of the last {@code attempts} have failed, and at least half as
     * many were made; after {@code openTime} one attempt is let through, and another whenever as
     * much time has passed without an answer. The first that succeeds closes it. If not set, 10
     * attempts and half a second.
     *
     * @throws IllegalArgumentException if {@code attempts} is not within 1 and 1,000, or {@code
     *     openTime} not within 1 ms and one day
     */
    public Builder circuit(int attempts, Duration openTime) {
      settings.circuit(attempts, openTime);
      return this;
    }

    /**
     * At most so many attempts begin within a second, evenly spaced; no limit if not set. Callers
     * wait for their turn within their deadline. It counts for this process.
     *
     * @throws IllegalArgumentException if not within 1 and 1,000,000
     */
    public Builder rate(int callsPerSecond) {
      settings.rate(callsPerSecond);
      return this;
    }

    /**
     * How many calls are made at the same time, each by a thread, and how many more callers may
     * wait; further ones fail at once. If not set, 16 and 1,024. More than the connections of a
     * pool are no use.
     *
     * @throws IllegalArgumentException if {@code calls} is not within 1 and 1,000, or {@code
     *     waiting} not within 0 and 1,000,000
     */
    public Builder concurrency(int calls, int waiting) {
      settings.concurrency(calls, waiting);
      return this;
    }

    /** Clock and chance, for tests. */
    Builder timing(GuardTiming timing) {
      settings.timing(timing);
      return this;
    }

    /**
     * Guards the store; nothing is called yet.
     *
     * @throws IllegalStateException if this builder has built before: two would close the same
     *     store
     */
    public ResilientKeysetStore build() {
      if (built) {
        throw new IllegalStateException(
            "this builder has guarded its store; start another with a store of its own");
      }
      built = true;
      GuardedCalls<KeysetStoreException.Reason> calls =
          new GuardedCalls<>("keyset store", settings, StoreTrouble.FAILURES);
      return store instanceof WatchableKeysetStore watchable
          ? new GuardedWatchableStore(watchable, calls)
          : new GuardedKeysetStore(store, calls);
    }
  }
}
