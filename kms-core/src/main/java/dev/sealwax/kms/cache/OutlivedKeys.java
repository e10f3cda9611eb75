package dev.sealwax.kms.cache;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.KmsException;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * The entries of a {@link KeyCache} that are past their hard time to live, kept for an outage.
 *
 * <p>Only an outage lets one serve: an attempt to load it anew, seconds ago at most, that failed as
 * throttled or unavailable. Any other answer takes it out for good. Closes what leaves it. Safe for
 * concurrent use.
 */
final class OutlivedKeys<K, V extends AutoCloseable> {
  /** An entry is asked for again after so long. */
  private static final long RETRY_NANOS = TimeUnit.SECONDS.toNanos(1);

  /** For so long one attempt that has met an outage stands for the next. */
  private static final long BELIEF_NANOS = TimeUnit.SECONDS.toNanos(10);

  private final LongSupplier nanoClock;
  private final long hardNanos;
  // Where this cache and that of the younger entries are locked, this one is second.
  private final Cache<K, Held<V>> entries;

  OutlivedKeys(CachePolicy policy, LongSupplier nanoClock, ScheduledExecutorService timer) {
    this.nanoClock = nanoClock;
    this.hardNanos = policy.hardTtl().toNanos();
    this.entries =
        Caffeine.newBuilder()
            .maximumSize(policy.maximumEntries())
            .expireAfterWrite(
                Collections.max(List.of(policy.staleToEncrypt(), policy.staleToDecrypt())))
            .ticker(nanoClock::getAsLong)
            .executor(Runnable::run)
            .scheduler(new ExpiryTimer(timer))
            .<K, Held<V>>removalListener(
                (key, held, cause) -> {
                  if (held != null) {
                    held.close();
                  }
                })
            .build();
  }

  /** Keeps an entry, unless an answer to its renewal forbids it. */
  void keep(K key, Held<V> held) {
    if (held.outlive()) {
      entries.put(key, held);
      if (held.isRefused()) {
        remove(key, held); // the answer came in between
      }
    }
  }

  /** The entry if its hard time to live has been over for less than {@code window}. */
  @Nullable Held<V> within(K key, Duration window) {
    Held<V> held = entries.getIfPresent(key);
    return held != null
            && !held.isRefused()
            && held.ageNanos(nanoClock.getAsLong()) - hardNanos < window.toNanos()
        ? held
        : null;
  }

  /** Whether the last attempt to load it anew has met an outage, and is not long ago. */
  boolean isCutOff(Held<V> held) {
    return held.isCutOff(nanoClock.getAsLong() - BELIEF_NANOS);
  }

  /** Notes how an attempt to load an entry has failed, made by this thread. */
  void judge(K key, Throwable failure) {
    Held<V> old = entries.getIfPresent(key);
    if (old == null || isInterrupt(failure)) {
      return;
    }
    if (isOutage(failure)) {
      old.cutOff(nanoClock.getAsLong());
      old.postponeRenewal(nextReload());
    } else if (failure instanceof KmsException) {
      entries.asMap().remove(key, old);
    } else {
      old.reached();
    }
  }

  /** When an entry kept here is to be asked for again. */
  long nextReload() {
    return nanoClock.getAsLong() + RETRY_NANOS;
  }

  static boolean isOutage(Throwable failure) {
    return failure instanceof RootKeyException e
        && (e.reason() == RootKeyException.Reason.THROTTLED
            || e.reason() == RootKeyException.Reason.UNAVAILABLE);
  }

  /** Whether what failed on this thread looks like an outage because the thread is interrupted. */
  static boolean isInterrupt(Throwable failure) {
    return isOutage(failure) && Thread.currentThread().isInterrupted();
  }

  boolean holds(K key, Held<V> held) {
    return entries.getIfPresent(key) == held;
  }

  void remove(K key) {
    entries.invalidate(key);
  }

  void remove(K key, Held<V> held) {
    entries.asMap().remove(key, held);
  }

  void clear() {
    entries.invalidateAll();
  }

  long size() {
    return entries.estimatedSize();
  }
}
