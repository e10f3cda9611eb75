package dev.sealwax.kms.crypto;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.vocabulary.EncryptionContext;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** The meter of budgets: what is lent and not given back. */
final class UsageMeterTest {
  private final AtomicInteger blocks = new AtomicInteger();
  private final UsageMeter meter = new UsageMeter(blocks::incrementAndGet);

  @Test
  void cipherClosed_exactlyWhatWasSealed() {
    meter.setBlocks(6400, 64_000);
    for (int round = 1; round <= 2; round++) {
      try (GcmKey key =
          new GcmKey(
              new byte[32],
              new UsageBudget(1_000_000, 1_000_000, meter),
              new Tallies(),
              new Tallies())) {
        for (int i = 0; i < 150; i++) {
          key.seal(new byte[10], EncryptionContext.empty(), new byte[64], 0);
        }
        assertTrue(meter.messages() >= 150L * round);
        assertTrue(meter.messages() <= 150L * round + 100, "at most a portion too many");
        assertTrue(meter.bytes() <= 1500L * round + 1000, "at most a portion too many");
      }
      assertEquals(150L * round, meter.messages());
      assertEquals(1500L * round, meter.bytes());
    }
    assertEquals(0, blocks.get());
  }

  @Test
  void refusedDraw_countsNothing() {
    UsageBudget budget = new UsageBudget(2, 10, meter);
    assertEquals(false, budget.take(11));
    assertEquals(0, budget.takeBytes(11));
    assertEquals(0, meter.messages());
    assertEquals(0, meter.bytes());
  }

  @Test
  void block_isCalledForUntilReportedOrPostponed() {
    meter.setBlocks(10, UsageMeter.NO_BLOCK);
    meter.lent(9, Long.MAX_VALUE / 2);
    assertEquals(0, blocks.get());
    meter.lent(1, 0);
    meter.lent(1, 0);
    assertEquals(2, blocks.get());
    meter.postpone();
    meter.lent(9, 0);
    assertEquals(2, blocks.get());
    meter.lent(1, 0);
    assertEquals(3, blocks.get());
    meter.reported(21, 0);
    assertEquals(0, meter.messages());
    meter.lent(10, 0);
    assertEquals(4, blocks.get());
  }

  @Test
  void block_ofBytes() {
    meter.setBlocks(UsageMeter.NO_BLOCK, 100);
    meter.lent(1 << 30, 99);
    assertEquals(0, blocks.get());
    meter.lent(0, 1);
    assertEquals(1, blocks.get());
  }

  @Test
  void givenBackAfterAReport_isOwedToTheNext() {
    meter.setBlocks(10, 10);
    meter.lent(10, 10);
    meter.reported(10, 10);
    meter.givenBack(4, 3);
    assertEquals(-4, meter.messages());
    assertEquals(-3, meter.bytes());
  }
}
