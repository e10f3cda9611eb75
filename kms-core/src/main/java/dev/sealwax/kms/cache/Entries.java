package dev.sealwax.kms.cache;

import com.github.benmanes.caffeine.cache.AsyncCache;
import com.github.benmanes.caffeine.cache.Caffeine;
import com.github.benmanes.caffeine.cache.RemovalCause;
import dev.sealwax.kms.vocabulary.CachePolicy;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ScheduledExecutorService;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * What a {@link KeyCache} has in memory: the entries within their hard time to live, the loads that
 * are to become entries, and the entries kept for an outage. Closes what leaves it. Once closed, it
 * holds nothing, whatever a load or a renewal under way still brings. Safe for concurrent use.
 */
final class Entries<K, V extends AutoCloseable> {
  private final AsyncCache<K, Held<V>> timely;
  // Null if the policy has no use for them.
  private final @Nullable OutlivedKeys<K, V> outlived;
  private volatile boolean closed;

  Entries(
      CachePolicy policy,
      LongSupplier nanoClock,
      ScheduledExecutorService timer,
      CacheCounts counts) {
    this.outlived = policy.hasStaleOnOutage() ? new OutlivedKeys<>(policy, nanoClock, timer) : null;
    this.timely =
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

  /** The entry if its load is over; it may be past its hard time to live. */
  @Nullable Held<V> getIfPresent(K key) {
    CompletableFuture<Held<V>> future = timely.getIfPresent(key);
    return future == null || !future.isDone() || future.isCompletedExceptionally()
        ? null
        : future.join();
  }

  /** The entry, or the load that is to become it; {@code load} itself if there was neither. */
  CompletableFuture<Held<V>> getOrBegin(K key, Load<V> load) {
    return timely.get(key, (k, executor) -> load);
  }

  /** Takes back a load that has come to nothing. */
  void abandon(K key, Load<V> load) {
    timely.asMap().remove(key, load);
  }

  /**
   * To be called when a load is complete: {@code key} has outlived nothing any more.
   *
   * @return false if all was closed before the entry was complete, which is taken out then
   */
  boolean settle(K key) {
    if (outlived != null) {
      outlived.remove(key);
    }
    if (closed) {
      timely.synchronous().invalidate(key);
    }
    return !closed;
  }

  /** Puts an entry in the place of whatever {@code key} leads to. */
  void put(K key, Held<V> held) {
    timely.put(key, CompletableFuture.completedFuture(held));
    settle(key);
  }

  /**
   * Puts {@code fresh} in the place of {@code old} if that is still there: a key revoked meanwhile
   * must not come back.
   *
   * @return whether {@code fresh} belongs to the cache now
   */
  boolean replace(K key, Held<V> old, Held<V> fresh) {
    CompletableFuture<Held<V>> current = timely.getIfPresent(key);
    if (current == null
        || !leadsTo(current, old)
        || !timely.asMap().replace(key, current, CompletableFuture.completedFuture(fresh))) {
      return false;
    }
    if (closed) {
      timely.synchronous().invalidate(key);
    }
    return true;
  }

  /** Takes out an entry that its caller has found past its hard time to live. */
  void expire(K key, CompletableFuture<Held<V>> expired, Held<V> held) {
    timely
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

  private void outlive(K key, Held<V> held) {
    if (outlived != null) {
      outlived.keep(key, held);
    }
  }

  /** Notes how an attempt to load an entry has failed, made by this thread. */
  void judge(K key, Throwable failure) {
    if (outlived != null) {
      outlived.judge(key, failure);
    }
  }

  /** Notes an answer to the renewal of an entry that forbids it to serve in an outage. */
  void refuse(K key, Held<V> held) {
    held.refuse();
    if (outlived != null) {
      outlived.remove(key, held); // its time was over before this answer came
    }
  }

  /** The entries kept for an outage; null if the policy keeps none. */
  @Nullable OutlivedKeys<K, V> outlived() {
    return outlived;
  }

  void remove(K key, Held<V> held) {
    CompletableFuture<Held<V>> future = timely.getIfPresent(key);
    if (future != null && leadsTo(future, held)) {
      timely.asMap().remove(key, future);
    }
  }

  void remove(K key) {
    timely.synchronous().invalidate(key);
    if (outlived != null) {
      outlived.remove(key);
    }
  }

  void clear() {
    timely.synchronous().invalidateAll();
    if (outlived != null) {
      outlived.clear();
    }
  }

  long size() {
    return timely.synchronous().estimatedSize() + (outlived == null ? 0 : outlived.size());
  }

  boolean isClosed() {
    return closed;
  }

  void close() {
    closed = true;
    clear();
    timely.synchronous().cleanUp();
  }

  private static <V extends AutoCloseable> boolean leadsTo(
      CompletableFuture<Held<V>> future, Held<V> held) {
    return future.isDone() && !future.isCompletedExceptionally() && future.join() == held;
  }
}
