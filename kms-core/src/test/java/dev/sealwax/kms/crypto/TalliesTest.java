package dev.sealwax.kms.crypto;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.sealwax.kms.vocabulary.DecryptionFailedException;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

class TalliesTest {
  private static final EncryptionContext CONTEXT = EncryptionContext.empty();
  private static final int OVERHEAD = GcmKey.NONCE_BYTES + GcmKey.TAG_BYTES;
  private static final int THREADS = 8;
  private static final int MESSAGES = 5_000;

  private final Tallies sealed = new Tallies();
  private final Tallies opened = new Tallies();
  private final GcmKey key =
      new GcmKey(new byte[32], new UsageBudget(1L << 30, 1L << 40), sealed, opened);

  /**
   * Slots are parked, crowded out and wiped meanwhile, and a reader never sees less than before.
   */
  @Test
  @Timeout(60)
  void manyThreads_everyMessageIsCountedOnce() throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(THREADS + 1);
    AtomicBoolean over = new AtomicBoolean();
    try {
      Future<Boolean> fell =
          threads.submit(
              () -> {
                long before = 0;
                boolean less = false;
                while (!over.get()) {
                  long now = sealed.messages();
                  less |= now < before;
                  before = now;
                }
                return less;
              });
      List<Future<?>> work = new ArrayList<>();
      for (int i = 0; i < THREADS; i++) {
        work.add(threads.submit(this::sealAndOpen));
      }
      for (Future<?> one : work) {
        one.get();
      }
      over.set(true);
      assertFalse(fell.get(), "the count went down");
    } finally {
      threads.shutdownNow();
    }
    assertCounts(THREADS * MESSAGES);
    key.close();
    assertCounts(THREADS * MESSAGES);
  }

  private void sealAndOpen() {
    for (int i = 0; i < MESSAGES; i++) {
      byte[] out = new byte[10 + OVERHEAD];
      key.seal(new byte[10], CONTEXT, out, 0);
      if (i % 2 == 0) {
        key.open(out, 0, CONTEXT);
      } else {
        key.openAtHand(out, 0, CONTEXT);
      }
    }
  }

  private void assertCounts(long messages) {
    assertEquals(messages, sealed.messages());
    assertEquals(messages * 10, sealed.bytes());
    assertEquals(messages, opened.messages());
    assertEquals(messages * 10, opened.bytes());
    assertEquals(0, sealed.atHand());
    assertEquals(messages / 2, opened.atHand());
  }

  @Test
  void failures_areNotCounted() {
    byte[] garbage = new byte[10 + OVERHEAD];
    assertThrows(DecryptionFailedException.class, () -> key.open(garbage, 0, CONTEXT));
    key.close();
    assertEquals(GcmKey.Sealing.CLOSED, key.seal(new byte[10], CONTEXT, garbage, 0));
    assertCounts(0);
  }
}
