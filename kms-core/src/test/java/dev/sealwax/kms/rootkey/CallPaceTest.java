package dev.sealwax.kms.rootkey;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

final class CallPaceTest {
  private static final long SECOND = 1_000_000_000;

  private final AtomicLong now = new AtomicLong(Long.MAX_VALUE - 5);

  @Test
  void takeTurn_spacesThem() {
    CallPace pace = new CallPace(4, now::get);
    assertEquals(0, pace.takeTurn(SECOND));
    assertEquals(SECOND / 4, pace.takeTurn(SECOND));
    assertEquals(SECOND / 2, pace.takeTurn(SECOND));
    now.addAndGet(SECOND * 10);
    assertEquals(0, pace.takeTurn(0));
    assertEquals(SECOND / 4, pace.takeTurn(SECOND)); // what was not used is not saved
  }

  @Test
  void takeTurn_thatComesTooLate_isNotTaken() {
    CallPace pace = new CallPace(1, now::get);
    assertEquals(0, pace.takeTurn(0));
    for (int i = 0; i < 100; i++) {
      assertEquals(CallPace.NO_TURN, pace.takeTurn(SECOND - 1));
    }
    assertEquals(SECOND, pace.takeTurn(SECOND));
    assertEquals(CallPace.NO_TURN, pace.takeTurn(-1));
  }

  @Test
  void takeTurn_atAnyMoment_keepsTheRateInEverySecond() {
    SplittableRandom random = new SplittableRandom(7);
    CallPace pace = new CallPace(7, now::get);
    Deque<Long> turns = new ArrayDeque<>();
    for (int i = 0; i < 10_000; i++) {
      now.addAndGet(random.nextLong(SECOND / 5));
      long wait = pace.takeTurn(Long.MAX_VALUE / 2);
      turns.add(now.get() + wait);
      while (turns.getLast() - turns.getFirst() >= SECOND) {
        turns.removeFirst();
      }
      assertTrue(turns.size() <= 7, turns.size() + " turns in a second");
    }
  }
}
