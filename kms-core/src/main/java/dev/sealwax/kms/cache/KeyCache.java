package dev.sealwax.kms.cache;

import com.github.benmanes.caffeine.cache.AsyncCache;
import com.github.benmanes.caffeine.cache.Caffeine;
import com.github.benmanes.caffeine.cache.RemovalCause;
import dev.sealwax.kms.events.Announcer;
import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.CacheStatistics;
import dev.sealwax.kms.vocabulary.KmsException;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Unwrapped keys in memory, under a {@link CachePolicy}.
 *
 * <p>Concurrent misses of one key cause one load, run by the first caller on its own thread and
 * outside any lock; the others wait for it. A failed load fails its waiters and leaves nothing
 * behind. Between soft and hard time to live an entry serves while one background renewal tries to
 * replace it; a failed renewal is tried again later and hurts nobody, unless its loader removes the
 * entry. Past its hard time to live an entry serves in an outage only, if the policy says so. Every
 * value that leaves the cache is closed; values are such that closing waits for nobody and harms no
 * call under way. Safe for concurrent use.
 *
 * @param <K> what a key is found by
 * @param <V> the key, wiped by {@code close}
 */
public final class KeyCache<K, V extends AutoCloseable> implements AutoCloseable {
  /** After a failed renewal the next attempt waits this share of the soft time to live. */
  private static final int RENEWAL_RETRY_DIVISOR = 20;

  private final CachePolicy policy;
  private final LongSupplier nanoClock;
  private final Executor refresher;
  private final AsyncCache<K, Held<V>> entries;
  // Null if the policy has no use for them.
  private final @Nullable OutlivedKeys<K, V> outlived;
  private final long softNanos;
  private final long hardNanos;
  private final CacheCounts counts = new CacheCounts();
  private volatile boolean closed;

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
    this.refresher = refresher;
    this.softNanos = policy.softTtl().toNanos();
    this.hardNanos = policy.hardTtl().toNanos();
    this.outlived = policy.hasStaleOnOutage() ? new OutlivedKeys<>(policy, nanoClock, timer) : null;
    this.entries =
        Caffeine.newBuilder()
            .maximumSize(Math.max(1, policy.maximumEntries()))
            .expireAfterWrite(policy.isNone() ? Duration.ofNanos(1) : policy.hardTtl())
            .ticker(nanoClock::getAsLong)
            // Removal runs on the thread that causes it, so that a revoked key is wiped when the
            // call returns.
            .executor(Runnable::run)
            .scheduler(new ExpiryTimer(timer))
            .<K, Held<V>>removalListener(
                (key, held, cause) -> {
                  if (held != null) {
                    if (cause != RemovalCause.REPLACED) {
                      counts.evictions.increment();
                    }
                    if (!held.isOutlived()) {
                      held.close();
                    }
                  }
                })
            // Under the lock of the entry, so that whoever removes the key finds it here or there.
            .evictionListener(
                (key, held, cause) -> {
                  if (key != null && held != null && cause == RemovalCause.EXPIRED) {
                    outlive(key, held);
                  }
                })
            .buildAsync();
  }

  private void outlive(K key, Held<V> held) {
    if (outlived != null) {
      outlived.keep(key, held);
    }
  }

  /** The entry if it is in memory and within its hard time to live; counts a hit. */
  public @Nullable Held<V> getIfPresent(K key) {
    CompletableFuture<Held<V>> future = entries.getIfPresent(key);
    if (future == null || !future.isDone() || future.isCompletedExceptionally()) {
      return null;
    }
    Held<V> held = future.join();
    long now = nanoClock.getAsLong();
    long age = now - held.createdNanos;
    if (age >= hardNanos) {
      return null;
    }
    counts.hit(age);
    return held;
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
    return loadUncounted(key, loader);
  }

  private Held<V> loadUncounted(K key, Supplier<V> loader) {
    if (policy.isNone()) {
      requireOpen();
      return new Held<>(loaded(loader), nanoClock.getAsLong(), 0, /* cached= */ false);
    }
    while (true) {
      requireOpen();
      Load<V> mine = new Load<>();
      StackRoom.require();
      CompletableFuture<Held<V>> winner;
      try {
        winner = entries.get(key, (k, executor) -> mine);
        if (winner == mine) {
          return Announcer.untilOver(() -> loadInto(mine, key, loader));
        }
      } finally {
        abandonIfPending(key, mine);
      }
      Held<V> held = Load.await(winner);
      if (held == null) {
        continue;
      }
      if (nanoClock.getAsLong() - held.createdNanos < hardNanos) {
        return held;
      }
      retire(key, winner, held);
    }
  }

  private void retire(K key, CompletableFuture<Held<V>> expired, Held<V> held) {
    entries
        .asMap()
        .computeIfPresent(
            key,
            (k, current) -> {
              if (current != expired) {
                return current;
              }
              outlive(k, held);
              return null;
            });
  }

  /**
   * As {@link #load}; but if an outage keeps the entry from being loaded, the one that has outlived
   * its hard time to live by less than {@code window}: served only if the last attempt to load it
   * anew, seconds ago at most, has failed as throttled or unavailable. The first one in need waits
   * for such an attempt, later ones are served at once while it is repeated in the background.
   */
  public Held<V> loadOrOutlived(K key, Supplier<V> loader, Duration window) {
    OutlivedKeys<K, V> past = outlived;
    if (past == null) {
      return load(key, loader);
    }
    Held<V> known = past.within(key, window);
    if (known != null && past.isCutOff(known)) {
      counts.hits.increment();
      if (known.needsRenewal(nanoClock.getAsLong())) {
        reload(past, key, known, loader);
      }
      return servedInOutage(known);
    }
    try {
      return load(key, loader);
    } catch (RootKeyException e) {
      Held<V> old = OutlivedKeys.isOutage(e) ? past.within(key, window) : null;
      if (old == null || !past.isCutOff(old)) {
        throw e;
      }
      return servedInOutage(old);
    }
  }

  private Held<V> servedInOutage(Held<V> held) {
    counts.servedInOutage(held.ageNanos(nanoClock.getAsLong()));
    return held;
  }

  private void reload(OutlivedKeys<K, V> past, K key, Held<V> old, Supplier<V> loader) {
    submitRenewal(
        old,
        () -> {
          try {
            loadUncounted(key, loader);
          } catch (RuntimeException e) {
            counts.refreshFailures.increment(); // what it means for the old one is noted already
          } finally {
            // If it has succeeded, nobody asks for the old one any more.
            past.postponeReload(old);
          }
        },
        () -> past.postponeReload(old));
  }

  private void removeOutlived(K key) {
    if (outlived != null) {
      outlived.remove(key);
    }
  }

  /**
   * Takes back a load that an {@code Error} has kept from its end, wherever it struck: others would
   * wait for it for ever.
   */
  private void abandonIfPending(K key, Load<V> load) {
    if (!load.isDone()) {
      entries.asMap().remove(key, load);
      load.fail(new IllegalStateException("the load of a key was cut off; try again"));
    }
  }

  private Held<V> loadInto(Load<V> load, K key, Supplier<V> loader) {
    try {
      Held<V> held = hold(loaded(loader));
      load.complete(held);
      removeOutlived(key);
      if (closed) {
        // close() may have emptied the cache before this entry was complete.
        entries.synchronous().invalidate(key);
        throw closedCache();
      }
      return held;
    } catch (RuntimeException | Error e) {
      if (outlived != null) {
        outlived.judge(key, e);
      }
      load.fail(e);
      throw e;
    }
  }

  private V loaded(Supplier<V> loader) {
    try {
      V value = loader.get();
      counts.loads.increment();
      return value;
    } catch (RuntimeException | Error e) {
      counts.loadFailures.increment();
      throw e;
    }
  }

  private static <V extends AutoCloseable> boolean leadsTo(
      CompletableFuture<Held<V>> future, Held<V> held) {
    return future.isDone() && !future.isCompletedExceptionally() && future.join() == held;
  }

  /** Puts a value that the caller has just made; the cache owns it from now on. */
  public void put(K key, V value) {
    if (policy.isNone()) {
      closeQuietly(value);
      return;
    }
    entries.put(key, CompletableFuture.completedFuture(hold(value)));
    removeOutlived(key);
    if (closed) {
      entries.synchronous().invalidate(key);
    }
  }

  /** Removes {@code held} if it is still what {@code key} leads to. */
  public void remove(K key, Held<V> held) {
    CompletableFuture<Held<V>> future = entries.getIfPresent(key);
    if (future != null && leadsTo(future, held)) {
      entries.asMap().remove(key, future);
    }
  }

  /** Removes whatever {@code key} leads to. */
  public void remove(K key) {
    entries.synchronous().invalidate(key);
    removeOutlived(key);
  }

  /** Removes everything; the next uses load again. */
  public void clear() {
    entries.synchronous().invalidateAll();
    if (outlived != null) {
      outlived.clear();
    }
  }

  /**
   * To be called for an entry that {@linkplain Held#needsRenewal needs renewal}; starts at most one
   * per entry.
   */
  public void renew(K key, Held<V> old, Supplier<V> loader) {
    counts.staleServed.increment();
    submitRenewal(old, () -> renewNow(key, old, loader), () -> renewalFailed(old));
  }

  private void submitRenewal(Held<V> old, Runnable renewal, Runnable onRejection) {
    if (old.isRenewing()) {
      return;
    }
    StackRoom.require();
    if (!old.startRenewal()) {
      return;
    }
    boolean submitted = false;
    try {
      refresher.execute(renewal);
      submitted = true;
    } catch (RejectedExecutionException e) {
      // The cache is about to be closed, or the threads are busy; the entry serves on.
    } finally {
      if (!submitted) {
        onRejection.run();
      }
    }
  }

  private void renewNow(K key, Held<V> old, Supplier<V> loader) {
    boolean ended = false;
    try {
      Held<V> fresh = hold(loader.get());
      counts.loads.increment();
      CompletableFuture<Held<V>> current = entries.getIfPresent(key);
      // Only an entry that is still in place is replaced: a key revoked meanwhile must not come
      // back.
      if (current == null
          || !leadsTo(current, old)
          || !entries.asMap().replace(key, current, CompletableFuture.completedFuture(fresh))) {
        fresh.close();
      } else if (closed) {
        entries.synchronous().invalidate(key);
      }
      ended = true;
    } catch (RuntimeException e) {
      ended = true;
      if (e instanceof KmsException && !OutlivedKeys.isOutage(e)) {
        old.refuse();
        if (outlived != null) {
          outlived.remove(key, old); // its time was over before this answer came
        }
      }
      renewalFailed(old);
    } finally {
      if (!ended) {
        renewalFailed(old); // an Error goes on its way, but the next renewal is not lost to it
      }
    }
  }

  private void renewalFailed(Held<V> old) {
    counts.refreshFailures.increment();
    old.postponeRenewal(nanoClock.getAsLong() + softNanos / RENEWAL_RETRY_DIVISOR);
  }

  private Held<V> hold(V value) {
    long now = nanoClock.getAsLong();
    // A tenth of jitter, taken off so that the soft time to live stays an upper bound.
    long jitter = ThreadLocalRandom.current().nextLong(softNanos / 10 + 1);
    return new Held<>(value, now, now + softNanos - jitter, /* cached= */ true);
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
    return counts.statistics(
        hitsBeside,
        entries.synchronous().estimatedSize() + (outlived == null ? 0 : outlived.size()));
  }

  private void requireOpen() {
    if (closed) {
      throw closedCache();
    }
  }

  private static IllegalStateException closedCache() {
    return new IllegalStateException("the Kms is closed");
  }

  /** Closes every entry; loads under way fail or close what they loaded. */
  @Override
  public void close() {
    closed = true;
    clear();
    entries.synchronous().cleanUp();
  }

  static void closeQuietly(AutoCloseable value) {
    try {
      value.close();
    } catch (Exception e) {
      throw new IllegalStateException("closing a key must not fail", e);
    }
  }
}
