package dev.sealwax.kms.cache;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.CacheStatistics;
import dev.sealwax.kms.vocabulary.RootKeyException;
import dev.sealwax.kms.vocabulary.RootKeyException.Reason;
import java.lang.ref.WeakReference;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

final class KeyCacheTest {
  private static final Duration SOFT = Duration.ofSeconds(100);
  private static final Duration HARD = Duration.ofSeconds(1000);
  private static final int RETRY_DIVISOR = 20;

  private final AtomicLong now = new AtomicLong(Long.MAX_VALUE - 5);
  private final ConcurrentLinkedQueue<Runnable> background = new ConcurrentLinkedQueue<>();
  private final KeyCache<String, Key> cache =
      new KeyCache<>(CachePolicy.of(SOFT, HARD, 100), now::get, background::add, TestTimer.SHARED);

  private static final class Key implements AutoCloseable {
    final AtomicInteger closes = new AtomicInteger();

    boolean isOpen() {
      return closes.get() == 0;
    }

    @Override
    public void close() {
      closes.incrementAndGet();
    }
  }

  private void advance(Duration by) {
    now.addAndGet(by.toNanos());
  }

  private void runBackground() {
    for (Runnable task = background.poll(); task != null; task = background.poll()) {
      task.run();
    }
  }

  private Held<Key> present(String key) {
    Held<Key> held = cache.getIfPresent(key);
    assertNotNull(held);
    cache.hit(held);
    return held;
  }

  @Test
  void load_manyThreads_oneLoadForAll() throws Exception {
    AtomicInteger loads = new AtomicInteger();
    List<Held<Key>> results =
        concurrently(
            64,
            () ->
                cache.load(
                    "k",
                    () -> {
                      loads.incrementAndGet();
                      sleep();
                      return new Key();
                    }));
    assertEquals(1, loads.get());
    assertEquals(1, results.stream().distinct().count());
    CacheStatistics statistics = cache.statistics();
    assertEquals(64, statistics.misses());
    assertEquals(1, statistics.loads());
    assertEquals(1, statistics.entries());
  }

  private static void sleep() {
    try {
      Thread.sleep(100);
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  private static <T> List<T> concurrently(int count, java.util.concurrent.Callable<T> work)
      throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(count);
    try {
      CountDownLatch go = new CountDownLatch(1);
      List<Future<T>> futures = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        futures.add(
            threads.submit(
                () -> {
                  assertTrue(go.await(60, TimeUnit.SECONDS));
                  return work.call();
                }));
      }
      go.countDown();
      List<T> results = new ArrayList<>();
      for (Future<T> future : futures) {
        results.add(future.get(60, TimeUnit.SECONDS));
      }
      return results;
    } finally {
      threads.shutdownNow();
    }
  }

  @Test
  void load_fails_waitersGetTheSameTypeAndNothingIsKept() throws Exception {
    List<Throwable> failures =
        concurrently(
            16,
            () ->
                assertThrows(
                    RuntimeException.class,
                    () ->
                        cache.load(
                            "k",
                            () -> {
                              sleep();
                              throw new UnsupportedOperationException("scripted");
                            })));
    failures.forEach(f -> assertSame(UnsupportedOperationException.class, f.getClass()));
    assertNull(cache.getIfPresent("k"));
    assertEquals(0, cache.statistics().entries());
    assertTrue(cache.statistics().loadFailures() < 16);
    Key key = new Key();
    assertSame(key, cache.load("k", () -> key).value());
  }

  @Test
  void entry_softAndHardLimits_areKept() {
    Key key = new Key();
    Held<Key> held = cache.load("k", () -> key);
    assertFalse(held.needsRenewal(now.get()));
    advance(SOFT.multipliedBy(9).dividedBy(10).minusNanos(1));
    assertFalse(held.needsRenewal(now.get()));
    advance(SOFT.dividedBy(10).plusNanos(1));
    assertTrue(held.needsRenewal(now.get()));
    advance(HARD.minus(SOFT).minusNanos(1));
    assertSame(key, present("k").value());
    assertEquals(HARD.minusNanos(1), cache.statistics().oldestServedAge());
    assertTrue(key.isOpen());
    advance(Duration.ofNanos(1));
    assertNull(cache.getIfPresent("k"));
    Key second = new Key();
    assertSame(second, cache.load("k", () -> second).value());
    assertEquals(1, key.closes.get());
  }

  @Test
  void oldestServedAge_isTheGreatestAndNotTheLast() {
    cache.load("old", Key::new);
    advance(SOFT.dividedBy(2));
    present("old");
    cache.load("young", Key::new);
    present("young");
    assertEquals(SOFT.dividedBy(2), cache.statistics().oldestServedAge());
  }

  @Test
  void renewal_manyAskers_runsOnceAndReplaces() {
    Key old = new Key();
    Held<Key> held = cache.load("k", () -> old);
    advance(SOFT);
    Key fresh = new Key();
    cache.renew("k", held, () -> fresh);
    cache.renew("k", held, () -> fresh);
    assertEquals(1, background.size());
    assertSame(old, present("k").value());
    runBackground();
    assertSame(fresh, present("k").value());
    assertEquals(1, old.closes.get());
    assertTrue(fresh.isOpen());
    assertEquals(2, cache.statistics().loads());
    assertEquals(1, cache.statistics().staleServed());
    assertEquals(0, cache.statistics().evictions(), "a renewal is no eviction");
  }

  @Test
  void renewal_fails_entryServesOnAndIsTriedLater() {
    Key old = new Key();
    Held<Key> held = cache.load("k", () -> old);
    advance(SOFT);
    cache.renew("k", held, () -> fail());
    runBackground();
    assertSame(old, present("k").value());
    assertTrue(old.isOpen());
    assertEquals(1, cache.statistics().refreshFailures());
    assertEquals(0, cache.statistics().loadFailures());
    assertFalse(held.needsRenewal(now.get()), "not at once");
    advance(SOFT.dividedBy(10));
    assertTrue(held.needsRenewal(now.get()));
    Key fresh = new Key();
    cache.renew("k", held, () -> fresh);
    runBackground();
    assertSame(fresh, present("k").value());
  }

  private static Key fail() {
    throw new IllegalArgumentException("scripted");
  }

  @Test
  void renewal_executorRejects_isTriedLater() {
    AtomicBoolean rejecting = new AtomicBoolean(true);
    KeyCache<String, Key> picky =
        new KeyCache<>(
            CachePolicy.of(SOFT, HARD, 100),
            now::get,
            task -> {
              if (rejecting.get()) {
                throw new RejectedExecutionException("scripted");
              }
              task.run();
            },
            TestTimer.SHARED);
    Held<Key> held = picky.load("k", Key::new);
    advance(SOFT);
    picky.renew("k", held, Key::new);
    rejecting.set(false);
    advance(SOFT.dividedBy(10));
    Key fresh = new Key();
    picky.renew("k", held, () -> fresh);
    Held<Key> found = picky.getIfPresent("k");
    assertNotNull(found);
    assertSame(fresh, found.value());
  }

  @Test
  void stale_isCountedForEachUseBetweenTheLimits_beARenewalDueOrNot() {
    Held<Key> held = cache.load("k", Key::new);
    present("k");
    advance(SOFT);
    present("k");
    cache.renew("k", held, KeyCacheTest::fail);
    runBackground();
    assertFalse(held.needsRenewal(now.get()));
    present("k");
    present("k");
    assertEquals(3, cache.statistics().staleServed());
    assertEquals(4, cache.statistics().hits());
  }

  @Test
  void found_isNoHitBeforeItServes() {
    cache.load("k", Key::new);
    assertNotNull(cache.getIfPresent("k"));
    assertEquals(0, cache.statistics().hits());
  }

  @Test
  void removedBeforeItsRenewalRuns_isNotLoadedForNobody() {
    Held<Key> held = cache.load("k", Key::new);
    advance(SOFT);
    AtomicInteger asked = new AtomicInteger();
    cache.renew(
        "k",
        held,
        () -> {
          asked.incrementAndGet();
          return new Key();
        });
    cache.remove("k");
    runBackground();
    assertEquals(0, asked.get());
  }

  @Test
  void load_withinItsOwnLoad_isRefused() {
    assertTimeoutPreemptively(
        Duration.ofSeconds(60),
        () ->
            assertThrows(
                IllegalStateException.class,
                () -> cache.load("k", () -> cache.load("k", Key::new).value())));
    Key key = new Key();
    assertSame(key, cache.load("k", () -> cache.load("other", () -> key).value()).value());
  }

  @Test
  void entry_keepsNoThreadThatLoadedIt() throws InterruptedException {
    WeakReference<Thread> loader = loadedByAThreadThatEnds();
    for (int i = 0; i < 100 && loader.get() != null; i++) {
      System.gc();
      Thread.sleep(10);
    }
    assertNull(loader.get());
    assertTrue(present("k").value().isOpen());
  }

  private WeakReference<Thread> loadedByAThreadThatEnds() throws InterruptedException {
    Thread thread = new Thread(() -> cache.load("k", Key::new));
    thread.start();
    thread.join();
    return new WeakReference<>(thread);
  }

  @Test
  void removedDuringRenewal_doesNotComeBack() {
    Held<Key> held = cache.load("k", Key::new);
    advance(SOFT);
    Key fresh = new Key();
    cache.renew(
        "k",
        held,
        () -> {
          cache.remove("k");
          return fresh;
        });
    runBackground();
    assertNull(cache.getIfPresent("k"));
    assertEquals(1, fresh.closes.get());
    assertEquals(1, held.value().closes.get());
    assertEquals(1, cache.statistics().evictions());
  }

  @Test
  void removedDuringLoad_isClosedAndDoesNotComeBack() {
    Key key = new Key();
    Held<Key> held =
        cache.load(
            "k",
            () -> {
              cache.remove("k");
              return key;
            });
    assertSame(key, held.value());
    assertEquals(1, key.closes.get());
    assertNull(cache.getIfPresent("k"));
  }

  @Test
  void remove_ofAnOlderEntry_leavesTheNewer() {
    Held<Key> old = cache.load("k", Key::new);
    Key fresh = new Key();
    cache.put("k", fresh);
    assertEquals(1, old.value().closes.get());
    cache.remove("k", old);
    assertSame(fresh, present("k").value());
    cache.remove("k", present("k"));
    assertNull(cache.getIfPresent("k"));
    assertEquals(1, fresh.closes.get());
  }

  @Test
  void maximumEntries_surplusIsClosed() {
    KeyCache<String, Key> small =
        new KeyCache<>(CachePolicy.of(SOFT, HARD, 3), now::get, background::add, TestTimer.SHARED);
    List<Key> keys = new ArrayList<>();
    for (int i = 0; i < 50; i++) {
      Key key = new Key();
      keys.add(key);
      small.load("k" + i, () -> key);
    }
    assertEquals(3, small.statistics().entries());
    assertEquals(47, keys.stream().filter(k -> !k.isOpen()).count());
    assertEquals(47, small.statistics().evictions());
  }

  @Test
  void close_closesAllAndRefusesMore() {
    Held<Key> held = cache.load("k", Key::new);
    cache.close();
    assertEquals(1, held.value().closes.get());
    assertNull(cache.getIfPresent("k"));
    assertThrows(IllegalStateException.class, () -> cache.load("k", Key::new));
    Key late = new Key();
    cache.put("k", late);
    assertEquals(1, late.closes.get());
  }

  @Test
  void close_duringLoadAndRenewal_closesWhatTheyMake() {
    Key loaded = new Key();
    assertThrows(
        IllegalStateException.class,
        () ->
            cache.load(
                "k",
                () -> {
                  cache.close();
                  return loaded;
                }));
    assertEquals(1, loaded.closes.get());
    KeyCache<String, Key> second =
        new KeyCache<>(
            CachePolicy.of(SOFT, HARD, 100), now::get, background::add, TestTimer.SHARED);
    Held<Key> held = second.load("k", Key::new);
    advance(SOFT);
    Key renewed = new Key();
    second.renew(
        "k",
        held,
        () -> {
          second.close();
          return renewed;
        });
    runBackground();
    assertEquals(1, renewed.closes.get());
    assertEquals(1, held.value().closes.get());
  }

  @Test
  void nonePolicy_keepsNothing() {
    KeyCache<String, Key> none =
        new KeyCache<>(CachePolicy.none(), now::get, background::add, TestTimer.SHARED);
    Held<Key> first = none.load("k", Key::new);
    Held<Key> second = none.load("k", Key::new);
    assertTrue(first != second && first.value() != second.value());
    assertNull(none.getIfPresent("k"));
    assertTrue(first.value().isOpen());
    first.closeIfUncached();
    assertEquals(1, first.value().closes.get());
    Key put = new Key();
    none.put("k", put);
    assertEquals(1, put.closes.get());
    assertNull(none.getIfPresent("k"));
    assertFalse(second.needsRenewal(now.get() + HARD.toNanos()));
    none.close();
    assertThrows(IllegalStateException.class, () -> none.load("k", Key::new));
    assertThrows(IllegalStateException.class, () -> none.load("k", Key::new));
  }

  @Test
  void cachedEntry_closeIfUncached_leavesItOpen() {
    Held<Key> held = cache.load("k", Key::new);
    held.closeIfUncached();
    assertTrue(held.value().isOpen());
  }

  @Test
  void statistics_countEachUse() {
    Held<Key> held = cache.load("k", Key::new);
    present("k");
    present("k");
    assertThrows(IllegalArgumentException.class, () -> cache.load("other", KeyCacheTest::fail));
    assertNull(cache.getIfPresent("other"));
    CacheStatistics statistics = cache.statistics(40);
    assertEquals(42, statistics.hits());
    assertEquals(2, statistics.misses());
    assertEquals(1, statistics.loads());
    assertEquals(1, statistics.loadFailures());
    assertEquals(0, statistics.evictions());
    assertSame(held, present("k"));
  }

  /** Cheap: it is thrown once for each frame that a stack has room for. */
  private static final class NoKey extends RuntimeException {
    private static final long serialVersionUID = 1L;

    NoKey() {
      super("scripted", null, /* enableSuppression= */ false, /* writableStackTrace= */ false);
    }
  }

  @Test
  void load_whereverTheStackEnds_leavesNobodyWaiting() {
    for (int i = 0; i < 2; i++) {
      StackDive.atEveryDepth(this::loadInVain);
      assertTimeoutPreemptively(Duration.ofSeconds(60), this::requireLoads);
    }
  }

  @Test
  void renewal_whereverTheStackEnds_isNotTheLast() {
    RejectedExecutionException busy = new RejectedExecutionException("scripted");
    AtomicBoolean rejecting = new AtomicBoolean(true);
    try (KeyCache<String, Key> picky =
        new KeyCache<>(
            CachePolicy.of(SOFT, HARD, 100),
            now::get,
            task -> {
              if (rejecting.get()) {
                throw busy;
              }
              task.run();
            },
            TestTimer.SHARED)) {
      for (int i = 0; i < 40; i++) {
        rejecting.set(true);
        Held<Key> held = picky.load("k", Key::new);
        StackDive.atEveryDepth(() -> picky.renew("k", held, Key::new));
        rejecting.set(false);
        picky.renew("k", held, Key::new);
        assertEquals(1, held.value().closes.get(), "replaced");
        picky.remove("k");
      }
    }
  }

  private void requireLoads() {
    Key key = new Key();
    assertSame(key, cache.load("k", () -> key).value());
    cache.remove("k");
  }

  private void loadInVain() {
    try {
      cache.load("k", KeyCacheTest::noKey);
    } catch (NoKey e) {
      return;
    }
    throw new AssertionError("loaded");
  }

  private static Key noKey() {
    throw new NoKey();
  }

  @Test
  void clear_closesWhatIsThereAndLoadsAnew() {
    Held<Key> first = cache.load("a", Key::new);
    Held<Key> second = cache.load("b", Key::new);
    cache.clear();
    assertEquals(1, first.value().closes.get());
    assertEquals(1, second.value().closes.get());
    assertNull(cache.getIfPresent("a"));
    assertTrue(cache.load("a", Key::new).value().isOpen());
  }

  @Test
  void softTimeToLive_isShortenedByUpToATenth() {
    long earliest = SOFT.multipliedBy(9).dividedBy(10).toNanos();
    boolean differs = false;
    for (int i = 0; i < 200; i++) {
      Held<Key> held = cache.load("k" + i, Key::new);
      assertFalse(held.needsRenewal(now.get() + earliest - 1));
      assertTrue(held.needsRenewal(now.get() + SOFT.toNanos()));
      differs |= held.needsRenewal(now.get() + earliest + SOFT.toNanos() / 20);
    }
    assertTrue(differs, "keys loaded together must not all be renewed together");
  }

  @Test
  void load_whileAnotherLoads_waitsForItsKey() throws Exception {
    CountDownLatch loading = new CountDownLatch(1);
    CountDownLatch go = new CountDownLatch(1);
    Key slow = new Key();
    ExecutorService threads = Executors.newFixedThreadPool(2);
    try {
      Future<Held<Key>> loader =
          threads.submit(
              () ->
                  cache.load(
                      "k",
                      () -> {
                        loading.countDown();
                        awaitQuietly(go);
                        return slow;
                      }));
      assertTrue(loading.await(60, TimeUnit.SECONDS));
      AtomicInteger again = new AtomicInteger();
      Future<Held<Key>> waiter =
          threads.submit(
              () ->
                  cache.load(
                      "k",
                      () -> {
                        again.incrementAndGet();
                        return new Key();
                      }));
      while (cache.statistics().misses() < 2) {
        Thread.onSpinWait();
      }
      go.countDown();
      assertSame(slow, loader.get(60, TimeUnit.SECONDS).value());
      assertSame(slow, waiter.get(60, TimeUnit.SECONDS).value());
      assertEquals(0, again.get());
    } finally {
      go.countDown();
      threads.shutdownNow();
    }
  }

  @Test
  void load_whoseCallerIsInterrupted_failsNobodyElse() throws Exception {
    CountDownLatch loading = new CountDownLatch(1);
    CountDownLatch fail = new CountDownLatch(1);
    CompletableFuture<RuntimeException> interrupted = new CompletableFuture<>();
    Thread first =
        new Thread(
            () ->
                interrupted.complete(
                    assertThrows(
                        RootKeyException.class,
                        () ->
                            cache.load(
                                "k",
                                () -> {
                                  loading.countDown();
                                  awaitQuietly(fail);
                                  Thread.currentThread().interrupt();
                                  throw new RootKeyException(Reason.UNAVAILABLE, "interrupted");
                                }))));
    first.start();
    loading.await();
    CompletableFuture<Held<Key>> loaded = new CompletableFuture<>();
    Thread second =
        new Thread(
            () -> {
              try {
                loaded.complete(cache.load("k", Key::new));
              } catch (RuntimeException e) {
                loaded.completeExceptionally(e);
              }
            });
    second.start();
    while (second.getState() != Thread.State.WAITING) {
      Thread.onSpinWait();
    }
    fail.countDown();
    interrupted.get(30, TimeUnit.SECONDS);
    assertSame(loaded.get(30, TimeUnit.SECONDS), present("k"));
  }

  private static void awaitQuietly(CountDownLatch latch) {
    try {
      assertTrue(latch.await(60, TimeUnit.SECONDS));
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void renewal_diesOfAnError_isTriedLater() {
    Key old = new Key();
    Held<Key> held = cache.load("k", () -> old);
    advance(SOFT);
    cache.renew(
        "k",
        held,
        () -> {
          throw new StackOverflowError("scripted");
        });
    assertThrows(StackOverflowError.class, this::runBackground);
    assertSame(old, present("k").value());
    assertEquals(1, cache.statistics().refreshFailures());
    advance(SOFT.dividedBy(RETRY_DIVISOR).minusNanos(1));
    assertFalse(held.needsRenewal(now.get()));
    advance(Duration.ofNanos(1));
    assertTrue(held.needsRenewal(now.get()));
    Key fresh = new Key();
    cache.renew("k", held, () -> fresh);
    runBackground();
    assertSame(fresh, present("k").value());
  }

  @Test
  void close_whileARenewalReplaces_closesTheFreshKey() {
    Held<Key> held = cache.load("k", Key::new);
    advance(SOFT);
    Key fresh = new Key();
    cache.renew(
        "k",
        held,
        () -> {
          cache.close();
          return fresh;
        });
    runBackground();
    assertEquals(1, fresh.closes.get());
    assertEquals(1, held.value().closes.get());
    assertNull(cache.getIfPresent("k"));
  }

  @Test
  void uncached_isItsCallersToClose() {
    Key key = new Key();
    Held<Key> held = Held.uncached(key);
    assertSame(key, held.value());
    assertFalse(held.needsRenewal(Long.MAX_VALUE));
    held.closeIfUncached();
    assertEquals(1, key.closes.get());
  }
}
