package dev.sealwax.kms;

import dev.sealwax.kms.envelope.DataKeyPolicy;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.envelope.EnvelopeCiphers;
import dev.sealwax.kms.keyset.KeysetScheduler;
import dev.sealwax.kms.keyset.Keysets;
import dev.sealwax.kms.keyset.OpenKeysets;
import dev.sealwax.kms.keyset.SchedulerListener;
import dev.sealwax.kms.keyset.VersionUse;
import dev.sealwax.kms.rewrap.Rewrapper;
import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.store.KeysetStore;
import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KmsListener;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;
import java.util.Objects;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The keys of one process: a root key, a store of keysets, and the caches between them and the
 * data.
 *
 * <p>Open one per process and share it; it is safe for concurrent use. {@link #close} wipes every
 * key it holds in memory and closes the root key and the store it was built with.
 */
public final class Kms implements AutoCloseable {
  private final RootKey rootKey;
  private final KeysetStore store;
  private final BackgroundThreads threads;
  private final OpenKeysets keysets;
  private final EnvelopeCiphers ciphers;
  private final AtomicReference<@Nullable KeysetScheduler> scheduler = new AtomicReference<>();

  private Kms(Builder builder, RootKey rootKey, KeysetStore store, BackgroundThreads threads) {
    this.rootKey = rootKey;
    this.store = store;
    this.threads = threads;
    SecureRandom random = new SecureRandom();
    this.keysets =
        OpenKeysets.open(
            store,
            rootKey,
            builder.keyVersions,
            builder.refreshInterval,
            builder.clock,
            threads.background(),
            random,
            builder.listener);
    this.ciphers =
        new EnvelopeCiphers(
            keysets, builder.dataKeys, threads.background(), random, builder.listener);
  }

  /**
   * Starts to wire a {@code Kms}; a root key and a store are required, the rest has safe defaults.
   */
  public static Builder builder() {
    return new Builder();
  }

  /** The operator's verbs: create, rotate, disable, schedule destruction and so on. */
  public Keysets keysets() {
    return keysets.keysets();
  }

  /**
   * The cipher of a keyset. Cheap, and always the same object; the keyset itself is looked up by
   * the first operation.
   *
   * @throws IllegalArgumentException if no keyset can have that name
   */
  public EnvelopeCipher envelopeCipher(String keyset) {
    return ciphers.cipher(KeysetId.of(keyset));
  }

  /**
   * Describes a job that moves stored data of these keysets to their primaries, in bulk. Take the
   * names from your own list, never from data.
   *
   * @throws IllegalArgumentException if no keyset can have such a name
   */
  public Rewrapper.Builder rewrapper(String... keysets) {
    Objects.requireNonNull(keysets, "keysets");
    return Rewrapper.builder(keysets(), Stream.of(keysets).map(this::envelopeCipher).toList());
  }

  /** What this {@code Kms} has done since it was opened. */
  public KmsStatistics statistics() {
    return new KmsStatistics(
        ciphers.statistics(),
        keysets.keyVersionStatistics(),
        keysets.rootWraps(),
        keysets.rootUnwraps(),
        keysets.rootFailures());
  }

  /**
   * Starts to rotate keysets by their policies and to carry out scheduled destructions, with a look
   * at all keysets about once a minute, until this {@code Kms} is closed. Any number of processes
   * may do so. What happens is logged.
   *
   * @throws IllegalStateException if it was started before
   */
  public void startScheduler() {
    startScheduler(Duration.ofMinutes(1), change -> {});
  }

  /**
   * Starts the scheduler on a thread of this {@code Kms}.
   *
   * @param interval about how long from one look to the next; each reads every document in the
   *     store
   * @param listener told of what was done, missed or failed
   * @throws IllegalArgumentException if the interval is not whole seconds within 1 second and 1 day
   * @throws IllegalStateException if it was started before
   */
  public void startScheduler(Duration interval, SchedulerListener listener) {
    startScheduler(threads.scheduler(), interval, listener, null);
  }

  /**
   * Starts the scheduler on a thread of this {@code Kms}; it destroys nothing that is in use.
   *
   * @param interval about how long from one look to the next
   * @param listener told of what was done, missed or failed
   * @param inventory asked before a version is destroyed
   * @throws IllegalArgumentException if the interval is not whole seconds within 1 second and 1 day
   * @throws IllegalStateException if it was started before
   */
  public void startScheduler(Duration interval, SchedulerListener listener, VersionUse inventory) {
    startScheduler(
        threads.scheduler(), interval, listener, Objects.requireNonNull(inventory, "inventory"));
  }

  /**
   * Starts the scheduler on an executor of the caller.
   *
   * @param executor stays the caller's to shut down
   * @param interval about how long from one look to the next
   * @param listener told of what was done, missed or failed
   * @param inventory asked before a version is destroyed, or null to destroy what is due
   * @throws IllegalArgumentException if the interval is not whole seconds within 1 second and 1 day
   * @throws IllegalStateException if it was started before
   */
  public void startScheduler(
      ScheduledExecutorService executor,
      Duration interval,
      SchedulerListener listener,
      @Nullable VersionUse inventory) {
    Objects.requireNonNull(executor, "executor");
    Objects.requireNonNull(interval, "interval");
    Objects.requireNonNull(listener, "listener");
    KeysetScheduler started = keysets.startScheduler(executor, interval, listener, inventory);
    if (!scheduler.compareAndSet(null, started)) {
      started.close();
      throw new IllegalStateException("the scheduler of this Kms was started before");
    }
  }

  /**
   * Forgets all data keys, so that later messages get new ones. To be called after a process was
   * restored from a snapshot (CRaC, a cloned virtual machine) and before it encrypts: two copies of
   * one process would otherwise go on with the same data keys and the same nonces.
   */
  public void discardDataKeys() {
    ciphers.discardDataKeys();
  }

  /**
   * Stops the scheduler, reports what was encrypted where a rotation policy counts it, wipes all
   * keys and closes root key and store, after waiting up to about two seconds for background calls
   * of theirs that are under way; operations under way may still finish, later ones fail.
   */
  @Override
  public void close() {
    KeysetScheduler running = scheduler.get();
    if (running != null) {
      running.close();
    }
    // First, because what data keys have drawn and not used comes back from them.
    ciphers.close();
    keysets.close();
    threads.close();
    try (rootKey;
        store) {
      // both are closed, the store even if the root key fails to
    }
  }

  /** Collects the parts of a {@link Kms}. For one thread; use it once. */
  public static final class Builder {
    private @Nullable RootKey rootKey;
    private @Nullable KeysetStore store;
    private DataKeyPolicy dataKeys = DataKeyPolicy.defaults();
    private CachePolicy keyVersions =
        CachePolicy.of(Duration.ofMinutes(30), Duration.ofHours(2), 100_000);
    private Duration refreshInterval = Duration.ofMillis(500);
    private Clock clock = Clock.systemUTC();
    private @Nullable KmsListener listener;
    private boolean built;

    private Builder() {}

    /** The root key that wraps and unwraps key versions; closed with the {@code Kms}. Required. */
    public Builder rootKey(RootKey rootKey) {
      this.rootKey = Objects.requireNonNull(rootKey, "root key");
      return this;
    }

    /** Where keysets are kept; closed with the {@code Kms}. Required. */
    public Builder store(KeysetStore store) {
      this.store = Objects.requireNonNull(store, "store");
      return this;
    }

    /** How long data keys are used and kept; {@link DataKeyPolicy#defaults()} if not set. */
    public Builder dataKeys(DataKeyPolicy policy) {
      this.dataKeys = Objects.requireNonNull(policy, "data key policy");
      return this;
    }

    /**
     * How long unwrapped key versions are kept; if not set, they are renewed after 30 minutes and
     * gone after 2 hours, or when the root key denies a renewal, and 100,000 are kept. {@link
     * CachePolicy#none()} asks the root key for every use.
     */
    public Builder keyVersions(CachePolicy policy) {
      this.keyVersions = Objects.requireNonNull(policy, "key version policy");
      return this;
    }

    /**
     * The strict mode: a fresh data key for every message, nothing unwrapped is kept, the root key
     * is asked every time. Short for {@code dataKeys(DataKeyPolicy.singleUse())} and {@code
     * keyVersions(CachePolicy.none())}.
     */
    public Builder strict() {
      return dataKeys(DataKeyPolicy.singleUse()).keyVersions(CachePolicy.none());
    }

    /**
     * How old a keyset may be before the store is looked at again, in the background of the
     * operation that notices; half a second if not set. An operation that finds it older by half as
     * much again waits for that, for half a second at most. So this is how soon a change made by
     * another process is seen, as long as the store answers.
     *
     * @throws IllegalArgumentException if not within 10 ms and one day
     */
    public Builder refreshInterval(Duration interval) {
      Objects.requireNonNull(interval, "refresh interval");
      if (interval.compareTo(Duration.ofMillis(10)) < 0
          || interval.compareTo(Duration.ofDays(1)) > 0) {
        throw new IllegalArgumentException(
            "refresh interval must be 10 ms to 1 day, got " + interval);
      }
      this.refreshInterval = interval;
      return this;
    }

    /**
     * The clock for creation, rotation and destruction dates; the system's if not set. Cache ages
     * do not depend on it.
     */
    public Builder clock(Clock clock) {
      this.clock = Objects.requireNonNull(clock, "clock");
      return this;
    }

    /** Told of every operation; nobody if not set. */
    public Builder listener(KmsListener listener) {
      this.listener = Objects.requireNonNull(listener, "listener");
      return this;
    }

    /**
     * Opens the {@code Kms}. Neither store nor root key is touched before the first operation.
     * They, and the listener, are also called on its own threads, whose context class loader is
     * that of the thread that calls this.
     *
     * @throws IllegalStateException if the root key or the store is missing, or if this builder has
     *     built a {@code Kms} already: two would close the same root key and store
     */
    public Kms build() {
      if (built) {
        throw new IllegalStateException(
            "this builder has built its Kms; start another with a root key and a store of its own");
      }
      if (rootKey == null || store == null) {
        throw new IllegalStateException(
            "a Kms needs a " + (rootKey == null ? "root key" : "store"));
      }
      BackgroundThreads threads = BackgroundThreads.start();
      try {
        Kms kms = new Kms(this, rootKey, store, threads);
        built = true;
        return kms;
      } finally {
        if (!built) {
          threads.close();
        }
      }
    }
  }
}
