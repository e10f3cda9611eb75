package dev.sealwax.kms.rootkey;

import dev.sealwax.kms.guard.GuardSettings;
import dev.sealwax.kms.guard.GuardTiming;
import dev.sealwax.kms.guard.GuardedCalls;
import dev.sealwax.kms.vocabulary.GuardHealth;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.time.Duration;
import java.util.Objects;

/**
 * A root key that answers within a deadline whatever the one behind it does, tries again what may
 * succeed, and leaves a service alone that is down.
 *
 * <p>A call is made by a thread of a pool while the caller waits. Of its attempts each has a time
 * of its own; the next begins after a random pause, and only if the reason of the last {@linkplain
 * RootKeyException.Reason#isRetryable is retryable}. When half of the last attempts have failed so,
 * the circuit opens: calls fail at once, and one in a while is let through to see whether the
 * service is back. Any other answer, denied or disabled for instance, is passed on as it is: it
 * neither opens the circuit nor is asked for again.
 *
 * <p>What it throws beyond what the root key does: {@code RootKeyException} with {@code
 * UNAVAILABLE} if there is no answer in time, the circuit is open or the caller is interrupted;
 * with {@code THROTTLED} if too many wait, or the configured rate leaves no place within half of
 * the deadline. An attempt whose caller has given up is interrupted; it keeps its thread and its
 * place until it ends, and what it yields is wiped.
 *
 * <p>It signs ({@link SigningRootKey}) if and only if the root key behind it does. Owns that one
 * and closes it; safe for concurrent use. Switch off the retries of the client below, or set {@link
 * Builder#attempts} to one: both together multiply.
 */
public sealed interface ResilientRootKey extends RootKey permits GuardedRootKey {
  /** Starts to guard {@code rootKey}, whose ownership passes with {@link Builder#build}. */
  static Builder builder(RootKey rootKey) {
    return new Builder(Objects.requireNonNull(rootKey, "root key"));
  }

  /** How it does; a snapshot, made without asking the root key. */
  GuardHealth<RootKeyException.Reason> health();

  /** Collects the limits of a {@link ResilientRootKey}. For one thread. */
  final class Builder {
    private final RootKey rootKey;
    private final GuardSettings settings = new GuardSettings();
    private boolean built;

    private Builder(RootKey rootKey) {
      this.rootKey = rootKey;
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
     * How often a call is tried, and how long each attempt may take; 3 times 2 seconds if not set.
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
     * wait for their turn within their deadline. It counts for this process: divide a quota by the
     * number of processes that share it.
     *
     * @throws IllegalArgumentException if not within 1 and 1,000,000
     */
    public Builder rate(int callsPerSecond) {
      settings.rate(callsPerSecond);
      return this;
    }

    /**
     * How many attempts are made at the same time, each by a thread, and how many more callers may
     * wait; further ones fail at once. If not set, 16 and 1,024.
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
     * Guards the root key; nothing is called yet.
     *
     * @throws IllegalStateException if this builder has built before: two would close the same root
     *     key
     */
    public ResilientRootKey build() {
      if (built) {
        throw new IllegalStateException(
            "this builder has guarded its root key; start another with a root key of its own");
      }
      built = true;
      GuardedCalls<RootKeyException.Reason> calls =
          new GuardedCalls<>("root key", settings, RootKeyTrouble.FAILURES);
      return rootKey instanceof SigningRootKey signing
          ? new GuardedSigningRootKey(signing, calls)
          : new GuardedRootKey(rootKey, calls);
    }
  }
}
