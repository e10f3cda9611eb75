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
 * What a {@link KeyCache} has in memory: its entries, the loads that are to become entries, and the
 * entries kept for an outage. What may stay, and for how long, is decided here and, for an outage,
 * in {@link OutlivedKeys}. Closes what leaves it. Once closed, it keeps nothing of what a load or a
 * renewal under way still brings. Safe for concurrent use.
 */
final class Entries<K, V extends AutoCloseable> {
  private final LongSupplier nanoClock;
  private final long hardNanos;
  private final AsyncCache<K, Held<V>> current;
  // Null if the policy has no use for them.
  private final @Nullable OutlivedKeys<K, V> outlived;
  private volatile boolean closed;

  Entries(
      CachePolicy policy,
      LongSupplier nanoClock,
      ScheduledExecutorService timer,
      CacheCounts counts) {
    this.nanoClock = nanoClock;
    this.hardNanos = policy.hardTtl().toNanos();
    this.outlived = policy.hasStaleOnOutage() ? new OutlivedKeys<>(policy, nanoClock, timer) : null;
    this.current =
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

  /** The entry if its load is over and it is within its hard time to live. */
  @Nullable Held<V> getIfPresent(K key) {
    CompletableFuture<Held<V>> future = current.getIfPresent(key);
    if (future == null || !future.isDone() || future.isCompletedExceptionally()) {
      return null;
    }
    Held<V> held = future.join();
    return isOverdue(held) ? null : held;
  }

  /** Whether the hard time to live of an entry is over. */
  boolean isOverdue(Held<V> held) {
    return held.ageNanos(nanoClock.getAsLong()) >= hardNanos;
  }

  /** The entry, or the load that is to become it; {@code load} itself if there was neither. */
  CompletableFuture<Held<V>> getOrBegin(K key, Load<V> load) {
    return current.get(key, (k, executor) -> load);
  }

  /** Takes back a load that has come to nothing. */
  void abandon(K key, Load<V> load) {
    current.asMap().remove(key, load);
  }

  /**
   * To be called when an entry is in its place: {@code key} has outlived nothing any more.
   *
   * @return false if this is closed, and the entry therefore taken out
   */
  boolean settle(K key) {
    if (outlived != null) {
      outlived.remove(key);
    }
    boolean open = !closed;
    if (!open) {
      remove(key);
    }
    return open;
  }

  /** Puts an entry in the place of whatever {@code key} leads to. */
  void put(K key, Held<V> held) {
    current.put(key, CompletableFuture.completedFuture(held));
    settle(key);
  }

  /**
   * Puts {@code fresh} in the place of {@code old} if that is still there: a key revoked meanwhile
   * must not come back.
   *
   * @return false if it is not, and {@code fresh} still the caller's
   */
  boolean replace(K key, Held<V> old, Held<V> fresh) {
    CompletableFuture<Held<V>> found = current.getIfPresent(key);
    if (found == null
        || !leadsTo(found, old)
        || !current.asMap().replace(key, found, CompletableFuture.completedFuture(fresh))) {
      return false;
    }
    if (closed) {
      remove(key);
    }
    return true;
  }

  /** Whether {@code key} leads to {@code held}, or has outlived it. */
  boolean holds(K key, Held<V> held) {
    CompletableFuture<Held<V>> found = current.getIfPresent(key);
    return (found != null && leadsTo(found, held))
        || (outlived != null && outlived.holds(key, held));
  }

  /** Takes out an entry that its caller has found overdue. */
  void expire(K key, CompletableFuture<Held<V>> expired, Held<V> held) {
    current
        .asMap()
        .computeIfPresent(
            key,
            (k, found) -> {
              if (found != expired) {
                return found;
              }
              outlive(k, held);
              return null;
            });
  }

  private void outlive(K key, Held<V> held) {
    // Nothing but its age may bring an entry there.
    if (outlived != null && isOverdue(held)) {
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
    CompletableFuture<Held<V>> found = current.getIfPresent(key);
    if (found != null && leadsTo(found, held)) {
      current.asMap().remove(key, found);
    }
  }

  void remove(K key) {
    current.synchronous().invalidate(key);
    if (outlived != null) {
      outlived.remove(key);
    }
  }

  void clear() {
    current.synchronous().invalidateAll();
    if (outlived != null) {
      outlived.clear();
    }
  }

  long size() {
    return current.synchronous().estimatedSize() + (outlived == null ? 0 : outlived.size());
  }

  boolean isClosed() {
    return closed;
  }

  void close() {
    closed = true;
    clear();
    current.synchronous().cleanUp();
  }

  private static <V extends AutoCloseable> boolean leadsTo(
      CompletableFuture<Held<V>> future, Held<V> held) {
    return future.isDone() && !future.isCompletedExceptionally() && future.join() == held;
  }
}
