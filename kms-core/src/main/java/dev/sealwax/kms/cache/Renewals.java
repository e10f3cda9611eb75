package dev.sealwax.kms.cache;

import dev.sealwax.kms.vocabulary.KmsException;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/**
 * Makes keys anew in the background while the old ones serve, at most one attempt per entry at a
 * time. A failed attempt is repeated later and fails nobody; but an answer that is no outage keeps
 * the old one from serving in an outage. Safe for concurrent use.
 */
final class Renewals<K, V extends AutoCloseable> {
  /** After a failed renewal the next attempt waits this share of the soft time to live. */
  private static final int RETRY_DIVISOR = 20;

  private final Entries<K, V> entries;
  private final CacheCounts counts;
  private final LongSupplier nanoClock;
  private final long softNanos;
  private final Executor executor;

  /**
   * @param softNanos the soft time to live
   * @param executor may reject
   */
  Renewals(
      Entries<K, V> entries,
      CacheCounts counts,
      LongSupplier nanoClock,
      long softNanos,
      Executor executor) {
    this.entries = entries;
    this.counts = counts;
    this.nanoClock = nanoClock;
    this.softNanos = softNanos;
    this.executor = executor;
  }

  /** Replaces an entry within its hard time to live by what {@code loader} makes. */
  void renew(K key, Held<V> old, Supplier<V> loader) {
    submit(old, () -> renewNow(key, old, loader), () -> failed(old));
  }

  private void renewNow(K key, Held<V> old, Supplier<V> loader) {
    if (!entries.holds(key, old)) {
      old.endRenewal(nextAttempt(old));
      return; // removed or replaced since; what the loader makes would serve nobody
    }
    boolean ended = false;
    try {
      Held<V> fresh = Held.cached(loader.get(), nanoClock.getAsLong(), softNanos);
      counts.loads.increment();
      if (!entries.replace(key, old, fresh)) {
        fresh.close();
        old.endRenewal(nextAttempt(old)); // it may have outlived, and be asked for again
      }
      ended = true;
    } catch (RuntimeException e) {
      ended = true;
      if (e instanceof KmsException && !OutlivedKeys.isOutage(e)) {
        entries.refuse(key, old);
      }
      failed(old);
    } finally {
      if (!ended) {
        failed(old); // an Error goes on its way, but the next renewal is not lost to it
      }
    }
  }

  private void failed(Held<V> old) {
    counts.refreshFailures.increment();
    old.endRenewal(nextAttempt(old));
  }

  private long nextAttempt(Held<V> old) {
    OutlivedKeys<K, V> kept = entries.outlived();
    return kept != null && old.isOutlived()
        ? kept.nextReload()
        : nanoClock.getAsLong() + softNanos / RETRY_DIVISOR;
  }

  /**
   * Tries to end the service of an entry that is kept for an outage.
   *
   * @param load loads the key, counts, and notes with {@code kept} what its failure means
   */
  void reload(OutlivedKeys<K, V> kept, Held<V> old, Runnable load) {
    submit(
        old,
        () -> {
          try {
            load.run();
          } catch (RuntimeException e) {
            // Noted already.
          } finally {
            // If it has succeeded, nobody asks for the old one any more.
            old.endRenewal(kept.nextReload());
          }
        },
        () -> old.endRenewal(kept.nextReload()));
  }

  private void submit(Held<V> old, Runnable renewal, Runnable onRejection) {
    if (old.isRenewing()) {
      return;
    }
    StackRoom.require();
    if (!old.startRenewal()) {
      return;
    }
    boolean submitted = false;
    try {
      executor.execute(renewal);
      submitted = true;
    } catch (RejectedExecutionException e) {
      // The cache is about to be closed, or the threads are busy; the entry serves on.
    } finally {
      if (!submitted) {
        onRejection.run();
      }
    }
  }
}
