package dev.sealwax.kms.keyset;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.cache.StackDive;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
final class SingleFlightTest {
  @Test
  void run_whereverTheStackEnds_leavesNobodyWaiting() {
    for (int i = 0; i < 30; i++) {
      SingleFlight<String> flight = new SingleFlight<>();
      StackDive.atEveryDepth(() -> flight.run(() -> "by a diver"));
      assertTimeoutPreemptively(
          Duration.ofSeconds(60), () -> assertEquals("done", flight.run(() -> "done")));
    }
  }

  @Test
  void run_withinItself_isRefused() {
    SingleFlight<String> flight = new SingleFlight<>();
    assertTimeoutPreemptively(
        Duration.ofSeconds(60),
        () ->
            assertThrows(
                IllegalStateException.class, () -> flight.run(() -> flight.run(() -> "inner"))));
    assertEquals("done", flight.run(() -> "done"));
  }

  @Test
  void failure_isEachCallersOwn() throws InterruptedException {
    SingleFlight<String> flight = new SingleFlight<>();
    KeysetStoreException failure = ScriptedStore.unavailable();
    CountDownLatch running = new CountDownLatch(1);
    AtomicReference<Throwable> waiter = new AtomicReference<>();
    Thread other =
        new Thread(
            () -> {
              running.countDown();
              waiter.set(
                  assertThrows(RuntimeException.class, () -> flight.run(() -> "another run")));
            });
    KeysetStoreException leader =
        assertThrows(
            KeysetStoreException.class,
            () ->
                flight.run(
                    () -> {
                      other.start();
                      awaitWaiting(running, other);
                      throw failure;
                    }));
    other.join();

    assertSame(failure, leader);
    assertNotSame(failure, waiter.get());
    assertSame(failure, waiter.get().getCause());
    assertEquals(
        failure.reason(), assertInstanceOf(KeysetStoreException.class, waiter.get()).reason());
  }

  /** Its interrupt may be why it failed, and is nobody else's. */
  @Test
  void failureOnAnInterruptedThread_isNotShared() throws InterruptedException {
    SingleFlight<String> flight = new SingleFlight<>();
    CountDownLatch running = new CountDownLatch(1);
    AtomicReference<String> waiter = new AtomicReference<>();
    Thread other =
        new Thread(
            () -> {
              running.countDown();
              waiter.set(flight.run(() -> "another run"));
            });
    assertThrows(
        KeysetStoreException.class,
        () ->
            flight.run(
                () -> {
                  other.start();
                  awaitWaiting(running, other);
                  Thread.currentThread().interrupt();
                  throw ScriptedStore.unavailable();
                }));
    assertTrue(Thread.interrupted());
    other.join();
    assertEquals("another run", waiter.get());
  }

  private static void awaitWaiting(CountDownLatch running, Thread thread) {
    try {
      running.await();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
    while (thread.getState() != Thread.State.WAITING) {
      Thread.onSpinWait();
    }
  }
}
