package dev.sealwax.kms;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.cache.KeyCache;
import dev.sealwax.kms.keyset.Background;
import dev.sealwax.kms.vocabulary.CachePolicy;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
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
    Background background = threads.background();
    return new KeyCache<>(policy, background.nanoClock(), Runnable::run, background.timer());
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
      cache.load("genuine", () -> () -> {});
      assertEquals(1, pending(), "the timer looked at is not the one that is used");
    }
  }

  /** At many moments between two steps of the clock, by which the timer comes early or late. */
  @Test
  void whatNobodyAsksFor_isClosedWhenItExpires() throws Exception {
    Duration hard = Duration.ofSeconds(2);
    int caches = 60;
    CountDownLatch closed = new CountDownLatch(caches);
    List<KeyCache<String, AutoCloseable>> open = new ArrayList<>();
    for (int i = 0; i < caches; i++) {
      KeyCache<String, AutoCloseable> cache = cache(CachePolicy.of(hard, hard, 100));
      open.add(cache);
      cache.load("k", () -> closed::countDown);
      TimeUnit.MILLISECONDS.sleep(7);
    }
    boolean all = closed.await(30, TimeUnit.SECONDS);
    open.forEach(KeyCache::close);
    assertTrue(all, "some were closed by their cache only");
  }

  @Test
  void whatIsKeptForAnOutage_isClosedAtTheEndOfItsWindow() throws Exception {
    Duration hard = Duration.ofMillis(200);
    Duration window = Duration.ofSeconds(3);
    CountDownLatch closed = new CountDownLatch(1);
    CachePolicy policy = CachePolicy.of(hard, hard, 100).withStaleOnOutage(window, window);
    try (KeyCache<String, AutoCloseable> cache = cache(policy)) {
      long start = System.nanoTime();
      cache.load("k", () -> closed::countDown);
      assertTrue(closed.await(30, TimeUnit.SECONDS));
      assertTrue(System.nanoTime() - start >= window.toNanos(), "closed with the others");
    }
  }

  @Test
  void closed_leavesTheCacheUsable() {
    try (KeyCache<String, AutoCloseable> cache = cache(CachePolicy.of(HOUR, HOUR, 100))) {
      cache.load("k", () -> () -> {});
      threads.close();
      assertEquals(0, pending());
      cache.load("other", () -> () -> {});
      assertEquals(2, cache.statistics().entries());
    }
  }
}
