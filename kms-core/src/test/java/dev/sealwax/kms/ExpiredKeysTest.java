package dev.sealwax.kms;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.cache.KeyCache;
import dev.sealwax.kms.vocabulary.CachePolicy;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What the timer of a {@code Kms} does for its caches. */
class ExpiredKeysTest {
  private static final Duration HOUR = Duration.ofHours(1);

  private final BackgroundThreads threads = BackgroundThreads.start();

  @AfterEach
  void close() {
    threads.close();
  }

  private KeyCache<String, AutoCloseable> cache(CachePolicy policy) {
    return new KeyCache<>(policy, System::nanoTime, Runnable::run, threads.background().timer());
  }

  private int pending() {
    return ((ScheduledThreadPoolExecutor) threads.background().timer()).getQueue().size();
  }

  /** Each empties the cache again: a forged envelope, for one that decrypts and has not yet. */
  @Test
  void failedLoads_leaveNothingToWaitForItsTime() {
    try (KeyCache<String, AutoCloseable> cache = cache(CachePolicy.of(HOUR, HOUR, 100))) {
      Supplier<AutoCloseable> forged =
          () -> {
            throw new IllegalArgumentException("scripted");
          };
      for (int i = 0; i < 1000; i++) {
        String key = "k" + i;
        assertThrows(IllegalArgumentException.class, () -> cache.load(key, forged));
        assertTrue(pending() <= 1, "tasks that wait: " + pending());
      }
    }
  }

  @Test
  void whatNobodyAsksFor_isClosedWhenItExpires() throws Exception {
    Duration hard = Duration.ofMillis(200);
    CountDownLatch closed = new CountDownLatch(1);
    try (KeyCache<String, AutoCloseable> cache = cache(CachePolicy.of(hard, hard, 100))) {
      cache.load("k", () -> closed::countDown);
      assertTrue(closed.await(30, TimeUnit.SECONDS));
    }
  }

  @Test
  void whatIsKeptForAnOutage_isClosedAtTheEndOfItsWindow() throws Exception {
    Duration hard = Duration.ofMillis(200);
    CountDownLatch closed = new CountDownLatch(1);
    CachePolicy policy = CachePolicy.of(hard, hard, 100).withStaleOnOutage(hard, hard);
    try (KeyCache<String, AutoCloseable> cache = cache(policy)) {
      cache.load("k", () -> closed::countDown);
      assertTrue(closed.await(30, TimeUnit.SECONDS));
    }
  }

  @Test
  void closed_leavesTheCacheUsable() {
    try (KeyCache<String, AutoCloseable> cache = cache(CachePolicy.of(HOUR, HOUR, 100))) {
      cache.load("k", () -> () -> {});
      threads.close();
      assertEquals(0, pending());
      cache.load("other", () -> () -> {});
      assertEquals(2, cache.statistics(0).entries());
    }
  }
}
