package dev.sealwax.kms.cache;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** No two callers get the same exception object. */
@Timeout(60)
final class SharedFailuresTest {
  private final RootKeyException denied =
      new RootKeyException(RootKeyException.Reason.ACCESS_DENIED, "scripted");

  private void assertOwn(Throwable thrown) {
    assertNotSame(denied, thrown);
    assertSame(denied, thrown.getCause());
    assertSame(denied.reason(), assertInstanceOf(RootKeyException.class, thrown).reason());
  }

  @Test
  void exceptionOfAnotherType_isPassedOn() {
    IllegalStateException foreign = new IllegalStateException("scripted");
    assertSame(foreign, SharedFailures.forAnotherCaller(foreign));
  }

  @Test
  void recentFailure_isEachCallersOwn() {
    RecentFailures<String, RootKeyException> failures =
        new RecentFailures<>(() -> 0, Duration.ofSeconds(1));
    failures.remember("k", denied);
    RootKeyException first = assertThrows(RootKeyException.class, () -> failures.rethrow("k"));
    RootKeyException second = assertThrows(RootKeyException.class, () -> failures.rethrow("k"));
    assertOwn(first);
    assertOwn(second);
    assertNotSame(first, second);
  }

  @Test
  void load_thatFails_throwsItsOwnToWhoWaits() throws Exception {
    CountDownLatch loading = new CountDownLatch(1);
    CountDownLatch go = new CountDownLatch(1);
    ExecutorService threads = Executors.newFixedThreadPool(2);
    try (KeyCache<String, AutoCloseable> cache =
        new KeyCache<>(
            CachePolicy.of(Duration.ofSeconds(1), Duration.ofSeconds(2), 10),
            () -> 0,
            Runnable::run,
            TestTimer.SHARED)) {
      Future<Held<AutoCloseable>> loader =
          threads.submit(
              () ->
                  cache.load(
                      "k",
                      () -> {
                        loading.countDown();
                        awaitUnlessInterrupted(go);
                        throw denied;
                      }));
      loading.await();
      AtomicReference<Thread> waiting = new AtomicReference<>();
      Future<Held<AutoCloseable>> waiter =
          threads.submit(
              () -> {
                waiting.set(Thread.currentThread());
                return cache.load("k", () -> () -> {});
              });
      while (waiting.get() == null || waiting.get().getState() != Thread.State.WAITING) {
        Thread.onSpinWait();
      }
      go.countDown();
      assertSame(denied, assertThrows(ExecutionException.class, loader::get).getCause());
      assertOwn(assertThrows(ExecutionException.class, waiter::get).getCause());
      assertEquals(1, cache.statistics().loadFailures());
    } finally {
      threads.shutdownNow();
    }
  }

  private static void awaitUnlessInterrupted(CountDownLatch latch) {
    try {
      latch.await(30, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
