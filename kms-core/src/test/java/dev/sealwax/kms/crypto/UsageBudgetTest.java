package dev.sealwax.kms.crypto;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.crypto.GcmKey.Sealing;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A budget is spent to the last unit and not one unit further. */
final class UsageBudgetTest {
  private static final int THREADS = 16;
  // More than any budget here: a counter that loses updates must fail a test, not hang it.
  private static final long ENDLESS = 10_000_000;

  @Test
  void take_spendsExactlyTheMessages() {
    UsageBudget budget = new UsageBudget(3, 100);

    for (int i = 0; i < 3; i++) {
      assertTrue(budget.take(0));
    }
    assertFalse(budget.take(0));
  }

  @Test
  void take_spendsExactlyTheBytes() {
    UsageBudget budget = new UsageBudget(100, 10);

    assertTrue(budget.take(4));
    assertTrue(budget.take(6));
    assertFalse(budget.take(1));
    assertTrue(budget.take(0), "a message without bytes needs none");
  }

  @Test
  void take_whenBytesAreMissing_chargesNoMessage() {
    UsageBudget budget = new UsageBudget(2, 10);

    assertFalse(budget.take(11));
    assertTrue(budget.take(10));
    assertTrue(budget.take(0));
    assertFalse(budget.take(0));
  }

  @Test
  void take_ofAnEmptyBudget_isRefused() {
    UsageBudget budget = new UsageBudget(0, 0);

    assertFalse(budget.take(0));
    assertEquals(0, budget.takeMessages());
    assertEquals(0, budget.takeBytes(1));
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 63, 64, 65, 4096, 1_000_003, 1L << 32})
  void takeMessages_inBlocks_addUpToTheBudget(long messages) {
    UsageBudget budget = new UsageBudget(messages, 0);
    long drawn = 0;
    for (long block = budget.takeMessages(); block > 0; block = budget.takeMessages()) {
      assertTrue(block <= 4096, "block of " + block);
      assertTrue(block == 1 || block <= (messages - drawn) / 64, "block of " + block);
      drawn += block;
    }
    assertEquals(messages, drawn);
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 1000, 1L << 20, (1L << 36) + 7})
  void takeBytes_inBlocks_addUpToTheBudget(long bytes) {
    UsageBudget budget = new UsageBudget(1, bytes);
    long drawn = 0;
    for (long block = budget.takeBytes(1); block > 0; block = budget.takeBytes(1)) {
      assertTrue(block <= 64L << 20, "block of " + block);
      drawn += block;
    }
    assertEquals(bytes, drawn);
  }

  @Test
  void takeBytes_givesWhatIsAskedForOrNothing() {
    UsageBudget budget = new UsageBudget(1, 100);

    assertEquals(0, budget.takeBytes(101));
    assertEquals(99, budget.takeBytes(99));
    assertEquals(0, budget.takeBytes(2));
    assertEquals(1, budget.takeBytes(1));
    UsageBudget large = new UsageBudget(1, 1L << 40);
    assertEquals(200L << 20, large.takeBytes(200L << 20), "more than the largest block");
  }

  @Test
  void giveBack_returnsExactlyThat() {
    UsageBudget budget = new UsageBudget(2, 10);
    assertTrue(budget.take(10));
    assertTrue(budget.take(0));

    budget.giveBack(1, 3);

    assertFalse(budget.take(4));
    assertTrue(budget.take(3));
    assertFalse(budget.take(0));
  }

  @Test
  void take_byManyThreads_isNeverOneTooMany() throws Exception {
    UsageBudget budget = new UsageBudget(2_000_003, 1L << 40);

    long taken =
        inThreads(
            () -> {
              long count = 0;
              while (count < ENDLESS && budget.take(1)) {
                count++;
              }
              return count;
            });

    assertEquals(2_000_003, taken);
  }

  @Test
  void takeMessages_byManyThreadsThatGiveBack_isNeverOneTooMany() throws Exception {
    UsageBudget budget = new UsageBudget(500_009, 0);

    long kept =
        inThreads(
            () -> {
              long count = 0;
              for (long block = budget.takeMessages();
                  block > 0 && count < ENDLESS;
                  block = budget.takeMessages()) {
                long returned = block / 3;
                budget.giveBack(returned, 0);
                count += block - returned;
              }
              return count;
            });

    assertEquals(500_009, kept + leftIn(budget));
  }

  private static long leftIn(UsageBudget budget) {
    long left = 0;
    while (left < ENDLESS && budget.take(0)) {
      left++;
    }
    return left;
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 15, 1000, 20_011})
  void gcmKey_byManyThreads_sealsExactlyItsBudget(int messages) throws Exception {
    EncryptionContext context = EncryptionContext.empty();
    try (GcmKey key =
        new GcmKey(
            new byte[32], new UsageBudget(messages, 1L << 30), new Tallies(), new Tallies())) {
      Callable<Long> worker =
          () -> {
            long sealed = 0;
            byte[] out = new byte[1 + GcmKey.NONCE_BYTES + GcmKey.TAG_BYTES];
            while (key.seal(new byte[1], context, out, 0) == Sealing.DONE) {
              sealed++;
            }
            return sealed;
          };
      long sealed = inThreads(worker);
      // Slots may hold shares that the threads which ended did not meet; the rest is drawn by one.
      long last = worker.call();
      assertTrue(sealed + last <= messages, sealed + " and " + last + " of " + messages);
      assertTrue(
          sealed + last >= messages - messages / 10, sealed + " and " + last + " of " + messages);
    }
  }

  @Test
  void gcmKey_byOneThread_sealsExactlyItsMessagesAndBytes() {
    EncryptionContext context = EncryptionContext.empty();
    byte[] out = new byte[100 + GcmKey.NONCE_BYTES + GcmKey.TAG_BYTES];
    try (GcmKey key =
        new GcmKey(new byte[32], new UsageBudget(1000, 1L << 30), new Tallies(), new Tallies())) {
      for (int i = 0; i < 1000; i++) {
        assertEquals(Sealing.DONE, key.seal(new byte[100], context, out, 0), "message " + i);
      }
      assertEquals(Sealing.EXHAUSTED, key.seal(new byte[100], context, out, 0));
      assertEquals(Sealing.EXHAUSTED, key.seal(new byte[0], context, out, 0));
    }
    try (GcmKey key =
        new GcmKey(new byte[32], new UsageBudget(1000, 250), new Tallies(), new Tallies())) {
      assertEquals(Sealing.DONE, key.seal(new byte[100], context, out, 0));
      assertEquals(Sealing.DONE, key.seal(new byte[100], context, out, 0));
      assertEquals(Sealing.EXHAUSTED, key.seal(new byte[100], context, out, 0));
      assertEquals(Sealing.DONE, key.seal(new byte[50], context, out, 0));
      assertEquals(Sealing.EXHAUSTED, key.seal(new byte[1], context, out, 0));
    }
  }

  @Test
  void chunkedKey_chargesItsBudget() {
    try (ChunkedKey key = new ChunkedKey(new byte[32], new UsageBudget(2, 10))) {
      assertFalse(key.charge(11));
      assertTrue(key.charge(10));
      assertTrue(key.charge(0));
      assertFalse(key.charge(0));
    }
  }

  private static long inThreads(Callable<Long> work) throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(THREADS);
    try {
      List<Callable<Long>> workers = new ArrayList<>();
      // Together, or on few cores the first thread would be done before the second one starts.
      CyclicBarrier start = new CyclicBarrier(THREADS);
      for (int i = 0; i < THREADS; i++) {
        workers.add(
            () -> {
              start.await();
              return work.call();
            });
      }
      long sum = 0;
      for (Future<Long> result : threads.invokeAll(workers)) {
        sum += result.get();
      }
      return sum;
    } finally {
      threads.shutdownNow();
    }
  }
}
