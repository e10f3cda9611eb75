package dev.sealwax.kms.cache;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import java.time.Duration;
import java.util.function.LongSupplier;

/**
 * Failures of a moment ago, so that a service that denies or is down is not asked again for every
 * request. Keeps few of them for a short time. Safe for concurrent use.
 *
 * @param <K> what was asked for; a changed question is a new one
 * @param <E> how it failed
 */
public final class RecentFailures<K, E extends RuntimeException> {
  /**
   * Beyond that many, the oldest are asked for again: memory has a bound, requests have another.
   */
  private static final int MAX_ENTRIES = 1024;

  private final Cache<K, E> failures;

  /**
   * Starts without any.
   *
   * @param nanoClock monotonic; its step bounds the accuracy of {@code pause}
   * @param pause how long a failure answers for the service
   */
  public RecentFailures(LongSupplier nanoClock, Duration pause) {
    this.failures =
        Caffeine.newBuilder()
            .maximumSize(MAX_ENTRIES)
            .expireAfterWrite(pause)
            .ticker(nanoClock::getAsLong)
            .executor(Runnable::run)
            .build();
  }

  /**
   * Throws the failure that was remembered for {@code key} within the pause, if there is one, to
   * each caller as its own.
   */
  public void rethrow(K key) {
    E failure = failures.getIfPresent(key);
    if (failure != null) {
      throw SharedFailures.forAnotherCaller(failure);
    }
  }

  public void remember(K key, E failure) {
    failures.put(key, failure);
  }
}
