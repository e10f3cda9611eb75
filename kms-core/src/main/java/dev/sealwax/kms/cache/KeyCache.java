package dev.sealwax.kms.cache;

import dev.sealwax.kms.events.Announcer;
import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.CacheStatistics;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Unwrapped keys in memory, under a {@link CachePolicy}.
 *
 * <p>Concurrent misses of one key cause one load, run by the first caller on its own thread and
 * outside any lock; the others wait for it. A failed load fails its waiters and leaves nothing
 * behind. Between soft and hard time to live an entry serves while one background renewal tries to
 * replace it; a failed renewal is tried again later and fails nobody, unless its loader removes the
 * entry. Past its hard time to live an entry serves in an outage only, if the policy says so. Every
 * value that leaves the cache is closed; values are such that closing waits for nobody and harms no
 * call under way. Safe for concurrent use.
 *
 * @param <K> what a key is found by
 * @param <V> the key, wiped by {@code close}
 */
public final class KeyCache<K, V extends AutoCloseable> implements AutoCloseable {
  private final CachePolicy policy;
  private final LongSupplier nanoClock;
  private final long softNanos;
  private final CacheCounts counts = new CacheCounts();
  private final Entries<K, V> entries;
  private final Renewals<K, V> renewals;

  /**
   * Opens an empty cache.
   *
   * @param nanoClock monotonic and cheap: read on every hit
   * @param refresher runs renewals; may reject
   * @param timer one thread that wipes what has expired and is not asked for any more; must drop a
   *     task that is called off
   */
  public KeyCache(
      CachePolicy policy,
      LongSupplier nanoClock,
      Executor refresher,
      ScheduledExecutorService timer) {
    this.policy = policy;
    this.nanoClock = nanoClock;
    this.softNanos = policy.softTtl().toNanos();
    this.entries = new Entries<>(policy, nanoClock, timer, counts);
    this.renewals = new Renewals<>(entries, counts, nanoClock, softNanos, refresher);
  }

  /** The entry if it is in memory and within its hard time to live; see {@link #hit}. */
  public @Nullable Held<V> getIfPresent(K key) {
    return entries.getIfPresent(key);
  }

  /** To be called when an entry that was found here is going to serve: counts that. */
  public void hit(Held<V> held) {
    long now = nanoClock.getAsLong();
    counts.hit(held.ageNanos(now));
    if (held.isStale(now)) {
      counts.staleServed.increment();
    }
  }

  /**
   * Loads the entry, or waits for the load under way.
   *
   * @param loader makes the value on this thread; what it throws is thrown here, and to all who
   *     wait as {@link SharedFailures} says
   * @return the entry; with {@link CachePolicy#none()} it is the caller's alone, see {@link
   *     Held#closeIfUncached}
   * @throws IllegalStateException if the cache is closed
   */
  public Held<V> load(K key, Supplier<V> loader) {
    counts.misses.increment();
    return load(key, loader, counts.loadFailures);
  }

  private Held<V> load(K key, Supplier<V> loader, LongAdder failures) {
    if (policy.isNone()) {
      requireOpen();
      return Held.uncached(loaded(loader, failures));
    }
    while (true) {
      requireOpen();
      Load<V> mine = new Load<>();
      StackRoom.require();
      CompletableFuture<Held<V>> winner;
      try {
        winner = entries.getOrBegin(key, mine);
        if (winner == mine) {
          return Announcer.untilOver(() -> loadInto(mine, key, loader, failures));
        }
      } finally {
        abandonIfPending(key, mine);
      }
      Held<V> held = Load.await(winner);
      if (held == null) {
        continue;
      }
      if (!entries.isOverdue(held)) {
        return held;
      }
      entries.expire(key, winner, held);
    }
  }

  /**
   * Takes back a load that an {@code Error} has kept from its end, wherever it struck: others would
   * wait for it for ever.
   */
  private void abandonIfPending(K key, Load<V> load) {
    if (!load.isDone()) {
      entries.abandon(key, load);
      load.fail(new IllegalStateException("the load of a key was cut off; try again"));
    }
  }

  private Held<V> loadInto(Load<V> load, K key, Supplier<V> loader, LongAdder failures) {
    try {
      Held<V> held = hold(loaded(loader, failures));
      load.succeed(held);
      if (!entries.settle(key)) {
        throw closedCache();
      }
      return held;
    } catch (RuntimeException | Error e) {
      entries.judge(key, e);
      load.fail(e);
      throw e;
    }
  }

  private V loaded(Supplier<V> loader, LongAdder failures) {
    try {
      V value = loader.get();
      counts.loads.increment();
      return value;
    } catch (RuntimeException | Error e) {
      failures.increment();
      throw e;
    }
  }

  private Held<V> hold(V value) {
    return Held.cached(value, nanoClock.getAsLong(), softNanos);
  }

  /**
   * As {@link #load}; but if an outage keeps the entry from being loaded, the one that has outlived
   * its hard time to live by less than {@code window}: served only if the last attempt to load it
   * anew, seconds ago at most, has failed as throttled or unavailable. The first one in need waits
   * for such an attempt, later ones are served at once while it is repeated in the background.
   */
  public Held<V> loadOrOutlived(K key, Supplier<V> loader, Duration window) {
    OutlivedKeys<K, V> kept = entries.outlived();
    if (kept == null) {
      return load(key, loader);
    }
    Held<V> known = kept.within(key, window);
    if (known != null && kept.isCutOff(known)) {
      counts.hits.increment();
      if (known.needsRenewal(nanoClock.getAsLong())) {
        renewals.reload(kept, known, () -> load(key, loader, counts.refreshFailures));
      }
      return servedInOutage(known);
    }
    try {
      return load(key, loader);
    } catch (RootKeyException e) {
      Held<V> old = OutlivedKeys.isOutage(e) ? kept.within(key, window) : null;
      if (old == null || !kept.isCutOff(old)) {
        throw e;
      }
      return servedInOutage(old);
    }
  }

  private Held<V> servedInOutage(Held<V> held) {
    counts.servedInOutage(held.ageNanos(nanoClock.getAsLong()));
    return held;
  }

  /**
   * To be called for an entry that {@linkplain Held#needsRenewal needs renewal}; starts at most one
   * per entry.
   */
  public void renew(K key, Held<V> old, Supplier<V> loader) {
    renewals.renew(key, old, loader);
  }

  /** Puts a value that the caller has just made; the cache owns it from now on. */
  public void put(K key, V value) {
    if (policy.isNone()) {
      Held.uncached(value).close();
      return;
    }
    entries.put(key, hold(value));
  }

  /** Whether {@code held} is still what {@code key} leads to, or is kept for an outage. */
  public boolean holds(K key, Held<V> held) {
    return entries.holds(key, held);
  }

  /** Removes {@code held} if it is still what {@code key} leads to. */
  public void remove(K key, Held<V> held) {
    entries.remove(key, held);
  }

  /** Removes whatever {@code key} leads to. */
  public void remove(K key) {
    entries.remove(key);
  }

  /** Removes everything; the next uses load again. */
  public void clear() {
    entries.clear();
  }

  /** What the cache has done. */
  public CacheStatistics statistics() {
    return statistics(0);
  }

  /**
   * As {@link #statistics()}, with what callers know beside.
   *
   * @param hitsBeside hits of entries that callers had from here a moment ago, and counted
   *     themselves
   */
  public CacheStatistics statistics(long hitsBeside) {
    return counts.statistics(hitsBeside, entries.size());
  }

  private void requireOpen() {
    if (entries.isClosed()) {
      throw closedCache();
    }
  }

  private static IllegalStateException closedCache() {
    return new IllegalStateException("the Kms is closed");
  }

  /** Closes every entry; loads under way fail or close what they loaded. */
  @Override
  public void close() {
    entries.close();
  }
}
