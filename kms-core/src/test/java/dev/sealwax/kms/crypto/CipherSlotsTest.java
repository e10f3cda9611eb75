package dev.sealwax.kms.crypto;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Who may hold a slot, how many are kept, and that every one is wiped once and never in use. */
@Timeout(120)
class CipherSlotsTest {
  /** The most that are kept on any machine. */
  private static final int MOST = 16;

  private final Queue<Spy> made = new ConcurrentLinkedQueue<>();
  private final byte[] key = {1, 2, 3};
  private final CipherSlots<Spy> slots = new CipherSlots<>(key, this::make);

  private static final class Spy implements CipherSlots.Slot {
    final byte[] bytes;
    final AtomicBoolean inUse = new AtomicBoolean();
    final AtomicInteger wiped = new AtomicInteger();

    Spy(byte[] bytes) {
      this.bytes = bytes;
    }

    void use() {
      assertTrue(inUse.compareAndSet(false, true), "two threads hold one slot");
      assertEquals(0, wiped.get(), "a wiped slot was lent");
      assertArrayEquals(new byte[] {1, 2, 3}, bytes);
      Thread.onSpinWait();
      assertEquals(0, wiped.get(), "a slot was wiped while in use");
      assertTrue(inUse.compareAndSet(true, false));
    }

    @Override
    public void wipe() {
      assertTrue(!inUse.get(), "a slot was wiped while in use");
      wiped.incrementAndGet();
    }
  }

  private Spy make(byte[] bytes) {
    Spy spy = new Spy(bytes.clone());
    made.add(spy);
    return spy;
  }

  private long kept() {
    return made.stream().filter(spy -> spy.wiped.get() == 0).count();
  }

  private Spy acquired() {
    Spy spy = slots.acquire();
    assertNotNull(spy);
    return spy;
  }

  @Test
  void released_isLentAgain() {
    Spy first = acquired();
    slots.release(first);
    assertSame(first, acquired());
    assertEquals(1, made.size());
  }

  @Test
  void discarded_isWipedAndNotLentAgain() {
    Spy first = acquired();
    slots.discard(first);
    assertEquals(1, first.wiped.get());
    assertTrue(acquired() != first);
  }

  @Test
  void surplus_isWiped() {
    List<Spy> held = new ArrayList<>();
    for (int i = 0; i < 100; i++) {
      held.add(acquired());
    }
    assertEquals(100, made.size());
    held.forEach(slots::release);
    assertTrue(kept() >= 1 && kept() <= MOST, () -> kept() + " slots kept");
    slots.close();
    made.forEach(spy -> assertEquals(1, spy.wiped.get()));
  }

  @Test
  void close_wipesParkedSlots_andLeavesThoseInUseToTheirHolders() {
    Spy used = acquired();
    slots.release(acquired());
    slots.close();
    assertEquals(1, kept());
    assertEquals(0, used.wiped.get());
    used.use();
    slots.release(used);
    assertEquals(1, used.wiped.get());
    assertNull(slots.acquire());
    slots.close();
    made.forEach(spy -> assertEquals(1, spy.wiped.get()));
  }

  @Test
  void key_isCopied() {
    key[0] = 99;
    acquired().use();
  }

  @Test
  void close_whileManyUse_wipesEverySlotOnceAndNoneInUse() throws Exception {
    for (int round = 0; round < 300; round++) {
      made.clear();
      CipherSlots<Spy> racing = new CipherSlots<>(new byte[] {1, 2, 3}, this::make);
      CountDownLatch busy = new CountDownLatch(2);
      Queue<Throwable> failures = new ConcurrentLinkedQueue<>();
      List<Thread> threads = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        Thread thread =
            new Thread(
                () -> {
                  for (Spy spy = racing.acquire(); spy != null; spy = racing.acquire()) {
                    spy.use();
                    racing.release(spy);
                    busy.countDown();
                  }
                });
        thread.setUncaughtExceptionHandler((t, failure) -> failures.add(failure));
        threads.add(thread);
        thread.start();
      }
      busy.await();
      racing.close();
      for (Thread thread : threads) {
        thread.join();
      }
      assertEquals(List.of(), List.copyOf(failures));
      made.forEach(spy -> assertEquals(1, spy.wiped.get()));
    }
  }

  @Test
  void manyLightThreads_shareAFewSlots() throws Exception {
    int tasks = LightThreads.MANY;
    CountDownLatch start = new CountDownLatch(1);
    AtomicInteger done = new AtomicInteger();
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < tasks; i++) {
      threads.add(
          LightThreads.start(
              () -> {
                try {
                  start.await();
                } catch (InterruptedException e) {
                  throw new AssertionError(e);
                }
                Spy spy = acquired();
                spy.use();
                slots.release(spy);
                done.incrementAndGet();
              }));
    }
    start.countDown();
    for (Thread thread : threads) {
      thread.join();
    }
    assertEquals(tasks, done.get());
    assertTrue(kept() >= 1 && kept() <= MOST, () -> kept() + " slots kept");
  }
}
