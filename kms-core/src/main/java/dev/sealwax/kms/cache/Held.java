package dev.sealwax.kms.cache;

import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicBoolean;

/** One entry of a {@link KeyCache}: a key and its times. Safe for concurrent use. */
public final class Held<V extends AutoCloseable> {
  private final V value;
  private final long createdNanos;
  private final boolean cached;
  private final AtomicBoolean renewing = new AtomicBoolean();
  private volatile long softDeadlineNanos;
  // Past its hard time to live, and kept for an outage.
  private volatile boolean outlived;
  // An answer that is no outage has kept it from being renewed: it must not outlive.
  private volatile boolean refused;
  // The last attempt to load it anew met an outage.
  private volatile boolean cutOff;
  private volatile long cutOffNanos;

  private Held(V value, long createdNanos, long softDeadlineNanos, boolean cached) {
    this.value = value;
    this.createdNanos = createdNanos;
    this.softDeadlineNanos = softDeadlineNanos;
    this.cached = cached;
  }

  /** A key for a cache to keep, made at {@code nowNanos}. */
  static <V extends AutoCloseable> Held<V> cached(V value, long nowNanos, long softNanos) {
    // A tenth of jitter, taken off so that the soft time to live stays an upper bound.
    long jitter = ThreadLocalRandom.current().nextLong(softNanos / 10 + 1);
    return new Held<>(value, nowNanos, nowNanos + softNanos - jitter, /* cached= */ true);
  }

  /** A key that no cache keeps, for callers that bypass theirs. */
  public static <V extends AutoCloseable> Held<V> uncached(V value) {
    return new Held<>(value, 0, 0, /* cached= */ false);
  }

  /** The key. It may be closed at any time by its cache; its methods tell. */
  public V value() {
    return value;
  }

  /**
   * Whether the soft time to live is over at {@code nowNanos}, be a renewal under way or not; false
   * for a key that no cache keeps.
   */
  public boolean needsRenewal(long nowNanos) {
    return cached && nowNanos - softDeadlineNanos >= 0;
  }

  /** Closes a key that no cache keeps; does nothing for one that a cache does. */
  public void closeIfUncached() {
    if (!cached) {
      close();
    }
  }

  /** Whether its hard time to live is over, and it serves only because of an outage. */
  public boolean isOutlived() {
    return outlived;
  }

  public long ageNanos(long nowNanos) {
    return nowNanos - createdNanos;
  }

  /** Keeps it from being closed at the end of its hard time to live; false if it must not be. */
  boolean outlive() {
    if (!refused) {
      outlived = true;
    }
    return outlived;
  }

  void refuse() {
    refused = true;
  }

  boolean isRefused() {
    return refused;
  }

  boolean isCutOff(long sinceNanos) {
    return cutOff && cutOffNanos - sinceNanos >= 0;
  }

  void cutOff(long nowNanos) {
    cutOffNanos = nowNanos;
    cutOff = true;
  }

  void reached() {
    cutOff = false;
  }

  boolean isRenewing() {
    return renewing.get();
  }

  boolean startRenewal() {
    return renewing.compareAndSet(false, true);
  }

  void postponeRenewal(long untilNanos) {
    softDeadlineNanos = untilNanos;
    renewing.set(false);
  }

  void close() {
    try {
      value.close();
    } catch (Exception e) {
      throw new IllegalStateException("closing a key must not fail", e);
    }
  }
}
