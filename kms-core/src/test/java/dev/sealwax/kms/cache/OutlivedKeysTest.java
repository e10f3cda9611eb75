package dev.sealwax.kms.cache;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.KmsException;
import dev.sealwax.kms.vocabulary.RootKeyException;
import dev.sealwax.kms.vocabulary.RootKeyException.Reason;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Entries that serve beyond their hard time to live, because nothing newer can be had. */
final class OutlivedKeysTest {
  private static final Duration SOFT = Duration.ofSeconds(100);
  private static final Duration HARD = Duration.ofSeconds(1000);
  private static final Duration WINDOW = Duration.ofSeconds(500);
  private static final Duration RETRY = Duration.ofSeconds(1);
  private static final Duration BELIEF = Duration.ofSeconds(10);

  private final AtomicLong now = new AtomicLong(Long.MAX_VALUE - 5);
  private final Deque<Runnable> background = new ArrayDeque<>();
  private boolean rejecting;
  private final KeyCache<String, Key> cache =
      new KeyCache<>(
          CachePolicy.of(SOFT, HARD, 100).withStaleOnOutage(WINDOW, WINDOW),
          now::get,
          task -> {
            if (rejecting) {
              throw new RejectedExecutionException();
            }
            background.add(task);
          },
          TestTimer.SHARED);
  private final Key old = new Key();
  private final AtomicInteger asked = new AtomicInteger();

  private static final class Key implements AutoCloseable {
    private final AtomicInteger closes = new AtomicInteger();

    @Override
    public void close() {
      closes.incrementAndGet();
    }
  }

  private void advance(Duration by) {
    now.addAndGet(by.toNanos());
  }

  private Supplier<Key> failing(RuntimeException failure) {
    return () -> {
      asked.incrementAndGet();
      throw failure;
    };
  }

  private Supplier<Key> down() {
    return failing(new RootKeyException(Reason.UNAVAILABLE, "scripted"));
  }

  private Key use(Supplier<Key> loader) {
    return cache.loadOrOutlived("k", loader, WINDOW).value();
  }

  /** An entry whose hard time to live has just ended. */
  private void outlive() {
    cache.load("k", () -> old);
    advance(HARD);
  }

  /** It serves because an attempt to load it anew has just failed. */
  private void meetOutage() {
    outlive();
    assertSame(old, use(down()));
  }

  private void runBackground() {
    for (Runnable task = background.poll(); task != null; task = background.poll()) {
      task.run();
    }
  }

  @AfterEach
  void everyKeyIsClosedOnce() {
    cache.close();
    assertEquals(1, old.closes.get());
  }

  @Test
  void outage_oldServesWithinItsWindowAndNotAtItsEnd() {
    outlive();
    assertSame(old, use(down()));
    advance(WINDOW.minusNanos(1));
    assertSame(old, use(down()));
    assertEquals(HARD.plus(WINDOW).minusNanos(1), cache.statistics().oldestServedAge());
    advance(Duration.ofNanos(1));
    assertThrows(RootKeyException.class, () -> use(down()));
  }

  @Test
  void shorterWindow_endsEarlier() {
    outlive();
    assertSame(old, use(down()));
    advance(Duration.ofSeconds(5));
    assertThrows(
        RootKeyException.class, () -> cache.loadOrOutlived("k", down(), Duration.ofSeconds(5)));
    assertSame(old, use(down()));
  }

  @Test
  void outage_theFirstAsks_laterOnesAreServedAtOnceAndCounted() {
    meetOutage();
    use(down());
    use(down());
    assertEquals(1, asked.get());
    assertEquals(3, cache.statistics().outageServed());
    assertEquals(2, cache.statistics().hits(), "the first was a miss");
    assertEquals(2, cache.statistics().misses());
  }

  @Test
  void outage_isAskedForAgainInTheBackground_onceASecond() {
    meetOutage();
    advance(RETRY.minusNanos(1));
    use(down());
    assertEquals(0, background.size());
    advance(Duration.ofNanos(1));
    use(down());
    use(down());
    assertEquals(1, background.size());
    runBackground();
    assertEquals(2, asked.get());
    assertEquals(1, cache.statistics().refreshFailures());
    use(down());
    assertEquals(0, background.size(), "not at once");
    advance(RETRY);
    use(down());
    assertEquals(1, background.size());
  }

  @Test
  void backgroundThatRejects_isAskedAgainASecondLater() {
    meetOutage();
    advance(RETRY);
    rejecting = true;
    use(down());
    rejecting = false;
    use(down());
    assertEquals(0, background.size(), "not at once");
    advance(RETRY);
    use(down());
    assertEquals(1, background.size());
  }

  @Test
  void outageOver_theFreshOneServesAndTheOldIsClosed() {
    meetOutage();
    advance(RETRY);
    Key fresh = new Key();
    assertSame(old, use(() -> fresh));
    assertEquals(0, old.closes.get());
    runBackground();
    assertEquals(1, old.closes.get());
    Held<Key> held = cache.getIfPresent("k");
    assertTrue(held != null && held.value() == fresh && !held.isOutlived());
    assertEquals(1, cache.statistics().entries());
  }

  @Test
  void loadThatSucceeds_closesTheOld() {
    meetOutage();
    Key fresh = new Key();
    assertSame(fresh, cache.load("k", () -> fresh).value());
    assertEquals(1, old.closes.get());
    assertEquals(1, cache.statistics().entries());
  }

  @Test
  void put_closesTheOld() {
    meetOutage();
    cache.put("k", new Key());
    assertEquals(1, old.closes.get());
    assertEquals(1, cache.statistics().entries());
  }

  @Test
  void attemptOfLongAgo_letsNobodyServeUnasked() {
    meetOutage();
    advance(BELIEF);
    use(down());
    assertEquals(1, asked.get(), "believed for ten seconds");
    background.clear();
    advance(Duration.ofNanos(1));
    use(down());
    assertEquals(2, asked.get());
  }

  @Test
  void anotherAnswer_endsItForGood() {
    meetOutage();
    KmsException denied = new RootKeyException(Reason.ACCESS_DENIED, "scripted");
    assertSame(denied, assertThrows(KmsException.class, () -> cache.load("k", failing(denied))));
    assertEquals(1, old.closes.get());
    assertThrows(RootKeyException.class, () -> use(down()));
  }

  /** It says nothing of the root key; but that it was down is no longer the last that is known. */
  @Test
  void failureOfAnotherKind_letsItServeOnlyAfterTheNextOutage() {
    meetOutage();
    IllegalStateException bug = new IllegalStateException("scripted");
    assertSame(bug, assertThrows(RuntimeException.class, () -> cache.load("k", failing(bug))));
    assertEquals(0, old.closes.get());
    assertSame(bug, assertThrows(RuntimeException.class, () -> use(failing(bug))));
    assertSame(old, use(down()));
  }

  @Test
  void renewalDeniedBeforeItsEnd_letsItNotOutlive() {
    Held<Key> held = cache.load("k", () -> old);
    advance(SOFT);
    cache.renew("k", held, failing(new RootKeyException(Reason.DISABLED, "scripted")));
    runBackground();
    advance(HARD.minus(SOFT));
    assertThrows(RootKeyException.class, () -> use(down()));
    assertEquals(1, old.closes.get());
  }

  @Test
  void renewalDeniedAfterItsEnd_takesItOut() {
    Held<Key> held = cache.load("k", () -> old);
    advance(SOFT);
    cache.renew("k", held, failing(new RootKeyException(Reason.DISABLED, "scripted")));
    advance(HARD.minus(SOFT));
    assertSame(old, use(down()));
    runBackground();
    assertEquals(1, old.closes.get());
    assertThrows(RootKeyException.class, () -> use(down()));
  }

  @Test
  void renewalUnderWayAtItsEnd_isTheOnlyAttempt() {
    Held<Key> held = cache.load("k", () -> old);
    advance(SOFT);
    cache.renew("k", held, down());
    advance(HARD.minus(SOFT));
    assertSame(old, use(down()));
    advance(RETRY);
    assertSame(old, use(down()));
    assertEquals(1, background.size(), "no second attempt beside the first");
    runBackground();
    use(down());
    assertEquals(0, background.size(), "not at once");
    advance(RETRY);
    use(down());
    assertEquals(1, background.size(), "a second after it has failed, as others of its age");
  }

  @Test
  void renewalThatSucceedsAfterItsEnd_isNotTheLast() {
    Held<Key> held = cache.load("k", () -> old);
    advance(SOFT);
    Key late = new Key();
    cache.renew(
        "k",
        held,
        () -> {
          advance(HARD.minus(SOFT));
          assertSame(old, use(down()));
          return late;
        });
    runBackground();
    assertEquals(1, late.closes.get());
    assertSame(old, use(down()));
    advance(RETRY);
    use(down());
    assertEquals(1, background.size());
  }

  @Test
  void attemptInTheBackground_failsNoRequest() {
    meetOutage();
    long failed = cache.statistics().loadFailures();
    advance(RETRY);
    use(down());
    runBackground();
    assertEquals(failed, cache.statistics().loadFailures());
    assertEquals(1, cache.statistics().refreshFailures());
  }

  @Test
  void remove_takesTheOldOut() {
    meetOutage();
    cache.remove("k");
    assertEquals(1, old.closes.get());
    assertEquals(0, cache.statistics().entries());
    assertThrows(RootKeyException.class, () -> use(down()));
  }

  @Test
  void cacheThatOutlivesNothing_loadsAsEver() {
    KeyCache<String, Key> plain =
        new KeyCache<>(
            CachePolicy.of(SOFT, HARD, 100), now::get, background::add, TestTimer.SHARED);
    Held<Key> held = plain.loadOrOutlived("k", () -> old, WINDOW);
    assertSame(old, held.value());
    assertFalse(held.isOutlived());
    plain.close();
  }
}
