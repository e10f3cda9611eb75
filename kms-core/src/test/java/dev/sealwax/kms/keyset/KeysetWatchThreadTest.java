package dev.sealwax.kms.keyset;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.store.InMemoryKeysetStore;
import dev.sealwax.kms.store.WatchableKeysetStore;
import dev.sealwax.kms.testkit.ForwardingKeysetStore;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The thread that follows a store: how it begins, how often it asks, and how it ends. */
@Timeout(60)
final class KeysetWatchThreadTest {
  private static final Duration AGES = Duration.ofDays(1);

  private final ExecutorService thread = Executors.newSingleThreadExecutor();
  private final FollowedStore store = new FollowedStore();

  private KeysetWatch watch(Duration interval) {
    return watch(interval, Duration.ofMinutes(1));
  }

  private KeysetWatch watch(Duration interval, Duration closingPatience) {
    return new KeysetWatch(store, System::nanoTime, interval, closingPatience, id -> {});
  }

  private boolean hasEnded() throws InterruptedException {
    thread.shutdown();
    return thread.awaitTermination(20, TimeUnit.SECONDS);
  }

  /** Runs a watch until it has asked so often. */
  private void assertPauses(KeysetWatch watch, int times, long atLeastMillis) throws Exception {
    long start = System.nanoTime();
    watch.start(thread);
    while (store.questions.get() < times) {
      Thread.sleep(1);
    }
    int questions = store.questions.get();
    long millis = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - start);
    watch.close();
    assertTrue(
        questions <= millis / atLeastMillis + 1, questions + " questions in " + millis + " ms");
  }

  @AfterEach
  void letGo() {
    store.answers.release(1_000_000);
    thread.shutdownNow();
  }

  @Test
  void close_wakesAWatchThatWaitsForAWrite() throws Exception {
    KeysetWatch watch = watch(AGES);
    watch.start(thread);
    store.waiting.await();
    watch.close();
    assertTrue(hasEnded());
  }

  @Test
  void close_wakesAWatchThatWaitsForAStoreThatFailed() throws Exception {
    store.failing = true;
    KeysetWatch watch = watch(AGES);
    watch.start(thread);
    store.asked.await();
    Thread.sleep(20); // most likely asleep by now; if not yet, it must not fall asleep
    watch.close();
    assertTrue(hasEnded());
    assertEquals(1, store.questions.get());
    assertFalse(watch.isConfirming());
  }

  /** The store is closed next, and must not be in the middle of an answer. */
  @Test
  void close_waitsForAQuestionUnderWay() throws Exception {
    store.answers.drainPermits();
    KeysetWatch watch = watch(AGES);
    watch.start(thread);
    store.asked.await();
    Thread closing = new Thread(watch::close);
    closing.start();
    closing.join(100);
    assertTrue(closing.isAlive(), "the store is asked, and the watch said to be over");
    store.answers.release();
    assertTrue(hasEnded());
    closing.join();
    assertFalse(store.interrupted, "only a pause is interrupted");
  }

  @Test
  void close_ofAStoreThatHangs_waitsAMomentOnly() throws Exception {
    store.answers.drainPermits();
    KeysetWatch watch = watch(AGES, Duration.ofMillis(50));
    watch.start(thread);
    store.asked.await();
    watch.close();
    thread.shutdown();
    assertFalse(thread.isTerminated(), "the store still hangs");
    store.answers.release();
    assertTrue(hasEnded());
  }

  @Test
  void close_onAnInterruptedThread_leavesItInterrupted() throws Exception {
    store.answers.drainPermits();
    KeysetWatch watch = watch(AGES);
    watch.start(thread);
    store.asked.await();
    Thread.currentThread().interrupt();
    watch.close();
    assertTrue(Thread.interrupted());
  }

  @Test
  void storeThatSaysAllTheTimeThatSomethingWasWritten_isNotAskedAllTheTime() throws Exception {
    store.alwaysWritten = true;
    assertPauses(watch(AGES), 20, 5);
  }

  @Test
  void storeThatFails_isAskedOnceAnInterval() throws Exception {
    store.failing = true;
    assertPauses(watch(Duration.ofMillis(40)), 4, 40);
  }

  @Test
  void start_isTriedAgainIfThereWasNoThread_butNotIfTheExecutorRefuses() {
    AtomicInteger tried = new AtomicInteger();
    Executor exhausted =
        task -> {
          tried.incrementAndGet();
          throw new OutOfMemoryError("unable to create native thread");
        };
    KeysetWatch watch = watch(AGES);
    assertThrows(OutOfMemoryError.class, () -> watch.start(exhausted));
    assertThrows(OutOfMemoryError.class, () -> watch.start(exhausted));
    Executor refusing =
        task -> {
          tried.incrementAndGet();
          throw new RejectedExecutionException();
        };
    watch.start(refusing);
    watch.start(refusing);
    assertEquals(3, tried.get());
  }

  /** Answers as long as it may, and waits for a write until it is interrupted. */
  private static final class FollowedStore extends ForwardingKeysetStore
      implements WatchableKeysetStore {
    private final InMemoryKeysetStore memory;
    private final CountDownLatch asked = new CountDownLatch(1);
    private final CountDownLatch waiting = new CountDownLatch(1);
    private final Semaphore answers = new Semaphore(1_000_000);
    private final AtomicInteger questions = new AtomicInteger();
    private volatile boolean failing;
    private volatile boolean alwaysWritten;
    private volatile boolean interrupted;

    FollowedStore() {
      this(InMemoryKeysetStore.create());
    }

    private FollowedStore(InMemoryKeysetStore memory) {
      super(memory);
      this.memory = memory;
    }

    private void question() {
      questions.incrementAndGet();
      asked.countDown();
      try {
        answers.acquire();
      } catch (InterruptedException e) {
        interrupted = true;
      }
      if (failing) {
        ScriptedStore.fail();
      }
    }

    @Override
    public Position position() {
      question();
      return memory.position();
    }

    @Override
    public Changes changesAfter(Position since) {
      question();
      return memory.changesAfter(since);
    }

    @Override
    public void awaitWrite(Duration timeout) throws InterruptedException {
      waiting.countDown();
      if (!alwaysWritten) {
        Thread.sleep(timeout.toMillis());
      }
    }
  }
}
