package dev.sealwax.kms.cache;

import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * A key that is in use: an entry of a {@link KeyCache}, with its times, or one that no cache keeps.
 * Safe for concurrent use.
 */
public final class Held<V extends AutoCloseable> {
  private final V value;
  private final long createdNanos;
  private final boolean cached;
  private final AtomicBoolean renewing = new AtomicBoolean();
  private final long softEndNanos;
  // The end of the soft time to live, until a renewal fails.
  private volatile long nextRenewalNanos;
  // Past its hard time to live, and kept for an outage.
  private volatile boolean outlived;
  // An answer that is no outage has kept it from being renewed: it must not outlive.
  private volatile boolean refused;
  // The last attempt to load it anew met an outage.
  private volatile boolean cutOff;
  private volatile long cutOffNanos;

  private Held(V value, long createdNanos, long softEndNanos, boolean cached) {
    this.value = value;
    this.createdNanos = createdNanos;
    this.softEndNanos = softEndNanos;
    this.nextRenewalNanos = softEndNanos;
    this.cached = cached;
  }

  /** A key for a cache to keep, made at {@code nowNanos}. */
  static <V extends AutoCloseable> Held<V> cached(V value, long nowNanos, long softNanos) {
    // A tenth of jitter, taken off so that the soft time to live stays an upper bound.
    long jitter = ThreadLocalRandom.current().nextLong(softNanos / 10 + 1);
    return new Held<>(value, nowNanos, nowNanos + softNanos - jitter, /* cached= */ true);
  }

  /** A key that no cache keeps: its caller's alone, of no age. */
  public static <V extends AutoCloseable> Held<V> uncached(V value) {
    return new Held<>(value, 0, 0, /* cached= */ false);
  }

  /** The key. It may be closed at any time by its cache; its methods tell. */
  public V value() {
    return value;
  }

  /**
   * Whether the soft time to live is over at {@code nowNanos}; false for a key that no cache keeps.
   */
  public boolean isStale(long nowNanos) {
    return cached && nowNanos - softEndNanos >= 0;
  }

  /** {@code nanos}, or the end of its soft time to live if that is earlier. */
  public long freshUntil(long nanos) {
    return cached && softEndNanos - nanos < 0 ? softEndNanos : nanos;
  }

  /**
   * Whether it is stale and the pause after the last failed renewal is over, be a renewal under way
   * or not.
   */
  public boolean needsRenewal(long nowNanos) {
    return cached && nowNanos - nextRenewalNanos >= 0;
  }

  /** Whether it is an entry of a cache, or was. */
  public boolean isCached() {
    return cached;
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

  /** Time since an entry was made; of no meaning for a key that no cache keeps. */
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

  /** Ends the claim of {@link #startRenewal}, by whoever has it. */
  void endRenewal(long nextNanos) {
    nextRenewalNanos = nextNanos;
    renewing.set(false);
  }

  /** Leaves a renewal under way alone. */
  void postponeRenewal(long nextNanos) {
    nextRenewalNanos = nextNanos;
  }

  void close() {
    try {
      value.close();
    } catch (Exception e) {
      throw new IllegalStateException("closing a key must not fail", e);
    }
  }
}
