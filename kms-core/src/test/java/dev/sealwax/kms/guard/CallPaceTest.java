package dev.sealwax.kms.guard;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
final class CallPaceTest {
  private static final long SECOND = 1_000_000_000;

  private final AtomicLong now = new AtomicLong(Long.MAX_VALUE - 5);

  private CallPace pace(int callsPerSecond) {
    return new CallPace(callsPerSecond, now::get, now::addAndGet);
  }

  /** When the turn came, since {@code start}; null if none came. */
  private @Nullable Long turn(CallPace pace, long start, long most) throws InterruptedException {
    return pace.atTurn(most, () -> now.get() - start);
  }

  @Test
  void turns_areSpaced() throws InterruptedException {
    CallPace pace = pace(4);
    long start = now.get();
    assertEquals(0, turn(pace, start, SECOND));
    assertEquals(SECOND / 4, turn(pace, start, SECOND));
    assertEquals(SECOND / 2, turn(pace, start, SECOND));
    now.addAndGet(SECOND * 10);
    start = now.get();
    assertEquals(0, turn(pace, start, 0));
    assertEquals(SECOND / 4, turn(pace, start, SECOND)); // what was not used is not saved
  }

  @Test
  void turnThatComesTooLate_isNotTaken() throws InterruptedException {
    CallPace pace = pace(1);
    long start = now.get();
    assertEquals(0, turn(pace, start, 0));
    for (int i = 0; i < 100; i++) {
      assertNull(turn(pace, start, SECOND - 1));
    }
    assertFalse(pace.hasTurnWithin(SECOND - 1, 0));
    assertTrue(pace.hasTurnWithin(SECOND, 0));
    assertFalse(pace.hasTurnWithin(SECOND * 2 - 1, 1));
    assertEquals(SECOND, turn(pace, start, SECOND));
    assertNull(turn(pace, start, -1));
  }

  @Test
  void turnOfWorkThatIsRefused_isTheNextOnes() throws InterruptedException {
    CallPace pace = pace(1);
    long start = now.get();
    assertThrows(
        IllegalStateException.class,
        () ->
            pace.atTurn(
                SECOND,
                () -> {
                  throw new IllegalStateException("refused");
                }));
    assertEquals(0, turn(pace, start, 0));
  }

  @Test
  void turnBehindAnotherWhoWaits_isRefusedInTime() throws Exception {
    CountDownLatch release = new CountDownLatch(1);
    CountDownLatch sleeping = new CountDownLatch(1);
    CallPace pace =
        new CallPace(
            10,
            now::get,
            wait -> {
              sleeping.countDown();
              release.await();
              now.addAndGet(wait);
            });
    long start = now.get();
    assertEquals(0, turn(pace, start, 0));
    CompletableFuture<Long> first =
        CompletableFuture.supplyAsync(
            () -> {
              try {
                return turn(pace, start, SECOND);
              } catch (InterruptedException e) {
                throw new IllegalStateException(e);
              }
            });
    sleeping.await();
    assertNull(turn(pace, start, SECOND / 5 - 1)); // it would be the one after the next
    assertNull(turn(pace, start, SECOND / 5)); // it would, and the one before oversleeps
    release.countDown();
    assertEquals(SECOND / 10, first.get(30, TimeUnit.SECONDS));
    assertEquals(SECOND / 5, turn(pace, start, SECOND));
  }

  @Test
  void turns_atAnyMoment_keepTheRateInEverySecond() throws InterruptedException {
    SplittableRandom random = new SplittableRandom(7);
    CallPace pace = pace(7);
    Deque<Long> turns = new ArrayDeque<>();
    for (int i = 0; i < 10_000; i++) {
      now.addAndGet(random.nextLong(SECOND / 5));
      pace.atTurn(Long.MAX_VALUE / 2, () -> turns.add(now.get()));
      while (turns.getLast() - turns.getFirst() >= SECOND) {
        turns.removeFirst();
      }
      assertTrue(turns.size() <= 7, turns.size() + " turns in a second");
    }
  }
}
