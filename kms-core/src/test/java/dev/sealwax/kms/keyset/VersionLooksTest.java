package dev.sealwax.kms.keyset;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.vocabulary.KeysetStoreException;
import java.util.List;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** One caller looks while others join: what each may rely on afterwards. */
@Timeout(60)
final class VersionLooksTest {
  private final ConcurrentLinkedQueue<Integer> reads = new ConcurrentLinkedQueue<>();
  private final CountDownLatch reading = new CountDownLatch(1);
  private final Semaphore goOn = new Semaphore(1_000);
  private volatile boolean failing;
  private final VersionLooks looks = new VersionLooks(System::nanoTime, this::read);
  private final ExecutorService threads = Executors.newCachedThreadPool();

  private void read(int version) {
    reads.add(version);
    reading.countDown();
    goOn.acquireUninterruptibly();
    if (failing) {
      ScriptedStore.fail();
    }
  }

  @AfterEach
  void close() {
    goOn.release(1_000);
    threads.shutdownNow();
    Thread.interrupted();
  }

  /** Runs a second call that joins the look of a first one; returns the versions read. */
  private List<Integer> readsWithOneWhoJoins(boolean foundByTheFirst) throws Exception {
    goOn.drainPermits();
    Future<?> first = threads.submit(() -> looks.lookFor(1, () -> false));
    reading.await();
    Thread joining = new Thread(() -> looks.lookFor(2, () -> foundByTheFirst));
    joining.start();
    while (joining.getState() != Thread.State.WAITING) {
      Thread.sleep(1);
    }
    goOn.release(1_000);
    first.get();
    joining.join();
    return List.copyOf(reads);
  }

  @Test
  void lookThatBeganBefore_isNotEnough() throws Exception {
    assertEquals(List.of(1, 2), readsWithOneWhoJoins(false));
  }

  @Test
  void lookThatBeganBefore_isEnoughIfItFoundTheVersion() throws Exception {
    assertEquals(List.of(1), readsWithOneWhoJoins(true));
  }

  @Test
  void looks_areSpaced() {
    long start = System.nanoTime();
    looks.lookFor(1, () -> false);
    looks.lookFor(1, () -> false);
    assertTrue(System.nanoTime() - start >= VersionLooks.PAUSE_NANOS);
    assertEquals(2, reads.size());
  }

  @Test
  void failedLook_isToldAndSpacedToo() {
    long start = System.nanoTime();
    failing = true;
    assertThrows(KeysetStoreException.class, () -> looks.lookFor(1, () -> false));
    failing = false;
    looks.lookFor(1, () -> false);
    assertTrue(System.nanoTime() - start >= VersionLooks.PAUSE_NANOS);
  }

  @Test
  void interruptedThread_looksEarlyAndStaysInterrupted() {
    looks.lookFor(1, () -> false);
    Thread.currentThread().interrupt();
    looks.lookFor(2, () -> false);
    assertTrue(Thread.interrupted());
    assertEquals(List.of(1, 2), List.copyOf(reads));
  }
}
