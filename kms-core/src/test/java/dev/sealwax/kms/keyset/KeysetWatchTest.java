package dev.sealwax.kms.keyset;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.cache.TestTimer;
import dev.sealwax.kms.store.InMemoryKeysetStore;
import dev.sealwax.kms.store.KeysetStore;
import dev.sealwax.kms.store.StoredKeyset;
import dev.sealwax.kms.store.WatchableKeysetStore;
import dev.sealwax.kms.testkit.ForwardingKeysetStore;
import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executor;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Following a store that tells what was written. */
@Timeout(60)
class KeysetWatchTest {
  private static final KeysetId ORDERS = KeysetId.of("orders");

  private final ManualTime time = new ManualTime();
  private final ScriptedRootKey root = new ScriptedRootKey("test:one");
  private final TellingStore store = new TellingStore(InMemoryKeysetStore.create());
  private final OpenKeysets writer = open(store.silent(), task -> {});
  private final OpenKeysets reader = open(store, this::start);
  private volatile boolean onThreads;
  private final CountDownLatch ended = new CountDownLatch(1);

  private OpenKeysets open(KeysetStore over, Executor watcher) {
    return open(over, watcher, CachePolicy.of(Rig.SOFT, Rig.HARD, 10_000));
  }

  private OpenKeysets open(KeysetStore over, Executor watcher, CachePolicy policy) {
    return OpenKeysets.open(
        over,
        root,
        policy,
        Rig.REFRESH,
        time,
        new Background(time, this::refresh, Runnable::run, watcher, TestTimer.SHARED),
        new SecureRandom(),
        null);
  }

  private void refresh(Runnable task) {
    if (onThreads) {
      Thread thread = new Thread(task);
      thread.setDaemon(true);
      thread.start();
    } else {
      task.run();
    }
  }

  private void start(Runnable watching) {
    Thread thread =
        new Thread(
            () -> {
              watching.run();
              ended.countDown();
            });
    thread.setDaemon(true);
    thread.start();
  }

  @AfterEach
  void close() throws InterruptedException {
    reader.close();
    writer.close();
    store.asked.release();
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  /** The store is asked once more, at the present time. */
  private void pass(Duration duration) throws Exception {
    time.advance(duration);
    store.asked.await();
  }

  @Test
  void unchangedKeysets_areNotReadAgain_howeverMany() throws Exception {
    for (int i = 0; i < 500; i++) {
      writer.keysets().create("k" + i, KeysetTemplate.defaults());
      reader.open(KeysetId.of("k" + i)).snapshot(0);
    }
    settle();
    store.loads.set(0);
    for (int interval = 0; interval < 20; interval++) {
      pass(Rig.REFRESH);
      for (int i = 0; i < 500; i++) {
        reader.open(KeysetId.of("k" + i)).snapshot(0);
      }
    }
    assertEquals(0, store.loads.get());
  }

  /**
   * What was read before the watch began is read once more, and for a while at every interval: it
   * may have changed in between.
   */
  private void settle() throws Exception {
    for (int i = 0; i < 3; i++) {
      pass(Duration.ofSeconds(6));
      for (KeysetId id : writer.keysets().list().toList()) {
        reader.open(id).snapshot(0);
      }
    }
    pass(Rig.REFRESH);
  }

  @Test
  void writtenKeyset_isReadAtOnce_theOthersNot() throws Exception {
    for (String name : List.of("orders", "files")) {
      writer.keysets().create(name, KeysetTemplate.defaults());
      reader.open(KeysetId.of(name)).snapshot(0);
    }
    settle();
    store.loads.set(0);
    writer.keysets().disable("orders", 1);
    pass(Duration.ZERO);
    assertEquals(1, store.loads.get());
    assertEquals(KeyState.DISABLED, reader.open(ORDERS).snapshot(0).versions().get(0).state());
  }

  /** No change that the store tells of later says so. */
  @Test
  void keysetThatWasWrittenJustBeforeTheWatchBegan_isReadAgain() throws Exception {
    writer.keysets().create("orders", KeysetTemplate.defaults());
    CountDownLatch read = new CountDownLatch(1);
    store.beforePosition =
        () -> {
          await(read);
          writer.keysets().disable("orders", 1);
        };
    assertEquals(KeyState.ENABLED, reader.open(ORDERS).snapshot(0).versions().get(0).state());
    read.countDown();
    pass(Rig.REFRESH);
    pass(Rig.REFRESH);
    reader.open(ORDERS).snapshot(0); // the last one that may still be served what it was
    assertEquals(KeyState.DISABLED, reader.open(ORDERS).snapshot(0).versions().get(0).state());
  }

  @Test
  void idleKeyset_isConfirmedWithoutARead_forAMinute() throws Exception {
    writer.keysets().create("orders", KeysetTemplate.defaults());
    reader.open(ORDERS).snapshot(0);
    settle();
    store.loads.set(0);
    pass(Duration.ofSeconds(40));
    reader.open(ORDERS).snapshot(0);
    assertEquals(0, store.loads.get());
    pass(Duration.ofSeconds(40));
    reader.open(ORDERS).snapshot(0);
    assertEquals(1, store.loads.get());
  }

  @Test
  void confirmedKeyset_isServedNoLongerThanItsHardTimeToLive() throws Exception {
    writer.keysets().create("orders", KeysetTemplate.defaults());
    Duration hard = Rig.REFRESH.plusMillis(100);
    try (OpenKeysets brief = open(store, this::start, CachePolicy.of(hard, hard, 10))) {
      OpenKeyset orders = brief.open(ORDERS);
      orders.snapshot(0);
      pass(Duration.ZERO);
      pass(Duration.ofSeconds(11)); // what was said before has settled
      orders.snapshot(0);
      store.loads.set(0);
      pass(Duration.ofMillis(100));
      time.advance(Rig.REFRESH.minusMillis(50));
      orders.snapshot(0);
      assertEquals(0, store.loads.get(), "confirmed, 450 ms ago");
      store.afterLoad = ScriptedStore::fail;
      time.advance(Duration.ofMillis(149));
      orders.snapshot(0);
      time.advance(Duration.ofMillis(1));
      assertThrows(KeysetStoreException.class, () -> orders.snapshot(0));
    }
  }

  /** A replica may tell of a write before it, or another one, can show it. */
  @Test
  void writtenKeyset_isReadAgainForAWhile() throws Exception {
    writer.keysets().create("orders", KeysetTemplate.defaults());
    reader.open(ORDERS).snapshot(0);
    settle();
    StoredKeyset before = store.memory.load(ORDERS).orElseThrow();
    writer.keysets().disable("orders", 1);
    store.lagging = before;
    pass(Duration.ZERO);
    assertEquals(KeyState.ENABLED, reader.open(ORDERS).snapshot(0).versions().get(0).state());
    store.lagging = null;
    pass(Rig.REFRESH.multipliedBy(2));
    assertEquals(KeyState.DISABLED, reader.open(ORDERS).snapshot(0).versions().get(0).state());
  }

  /** The read that was to bring the news hangs: until it is back, nothing may be confirmed. */
  @Test
  void readUnderWay_confirmsNothing() throws Exception {
    writer.keysets().create("orders", KeysetTemplate.defaults());
    OpenKeyset orders = reader.open(ORDERS);
    orders.snapshot(0);
    settle();
    CountDownLatch goOn = new CountDownLatch(1);
    store.afterLoad = () -> await(goOn);
    onThreads = true;
    writer.keysets().disable("orders", 1);
    pass(Rig.REFRESH.multipliedBy(2));
    pass(Duration.ZERO);
    long start = System.nanoTime();
    orders.snapshot(0);
    assertTrue(
        System.nanoTime() - start >= Rig.REFRESH.toNanos() / 2,
        "an operation took the old snapshot for confirmed");
    goOn.countDown();
    store.afterLoad = () -> {};
    while (orders.snapshot(0).versions().get(0).state() != KeyState.DISABLED) {
      time.advance(Rig.REFRESH);
      Thread.sleep(1);
    }
  }

  @Test
  void storeThatForgot_hasEverythingReadAgain() throws Exception {
    writer.keysets().create("orders", KeysetTemplate.defaults());
    reader.open(ORDERS).snapshot(0);
    settle();
    writer.keysets().disable("orders", 1);
    store.forgetful = true;
    pass(Rig.REFRESH.multipliedBy(2));
    store.forgetful = false;
    reader.open(ORDERS).snapshot(0);
    assertEquals(KeyState.DISABLED, reader.open(ORDERS).snapshot(0).versions().get(0).state());
  }

  @Test
  void storeThatDoesNotTell_isReadKeysetByKeyset() throws Exception {
    writer.keysets().create("orders", KeysetTemplate.defaults());
    reader.open(ORDERS).snapshot(0);
    settle();
    store.failing = true;
    store.asked.release();
    writer.keysets().disable("orders", 1);
    time.advance(Rig.REFRESH.multipliedBy(2));
    reader.open(ORDERS).snapshot(0);
    assertEquals(KeyState.DISABLED, reader.open(ORDERS).snapshot(0).versions().get(0).state());
  }

  @Test
  void close_endsTheWatch() throws Exception {
    reader.open(ORDERS);
    store.asked.await();
    reader.close();
    store.asked.release();
    assertTrue(ended.await(20, TimeUnit.SECONDS));
    assertFalse(Thread.currentThread().isInterrupted());
  }

  /** Lets the test wait until the watch has asked, and the watch until the test goes on. */
  private static final class Asked {
    private final Semaphore turns = new Semaphore(0);
    private final Semaphore answers = new Semaphore(0);
    private volatile boolean free;

    void await() throws InterruptedException {
      turns.release();
      assertTrue(answers.tryAcquire(20, TimeUnit.SECONDS), "the watch does not ask");
    }

    void pause() throws InterruptedException {
      answers.release();
      if (!free) {
        turns.acquire();
      }
    }

    void release() {
      free = true;
      turns.release(1000);
    }
  }

  private static final class TellingStore extends ForwardingKeysetStore
      implements WatchableKeysetStore {
    private final InMemoryKeysetStore memory;
    private final AtomicInteger loads = new AtomicInteger();
    private final Asked asked = new Asked();
    private volatile Runnable afterLoad = () -> {};
    private volatile Runnable beforePosition = () -> {};
    private volatile @Nullable StoredKeyset lagging;
    private volatile boolean forgetful;
    private volatile boolean failing;
    private boolean first = true;

    TellingStore(InMemoryKeysetStore memory) {
      super(memory);
      this.memory = memory;
    }

    /** The same keysets, for a process that does not follow them. */
    KeysetStore silent() {
      return new ForwardingKeysetStore(memory) {
        @Override
        public void close() {}
      };
    }

    @Override
    public Optional<StoredKeyset> load(KeysetId id) {
      loads.incrementAndGet();
      StoredKeyset old = lagging;
      Optional<StoredKeyset> found = old != null ? Optional.of(old) : super.load(id);
      afterLoad.run();
      return found;
    }

    @Override
    public Position position() {
      beforePosition.run();
      return memory.position();
    }

    @Override
    public Changes changesAfter(Position since) {
      if (failing) {
        throw ScriptedStore.unavailable();
      }
      Changes changes = memory.changesAfter(since);
      return forgetful ? new Changes(changes.position(), false, Set.of()) : changes;
    }

    /** Called after each question that was answered: the watch stands still until the test asks. */
    @Override
    public void awaitWrite(Duration timeout) throws InterruptedException {
      if (first) {
        first = false; // nobody has asked for the first question
        asked.turns.acquire();
        return;
      }
      asked.pause();
    }

    @Override
    public void close() {}
  }
}
