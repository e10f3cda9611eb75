package dev.sealwax.kms.keyset;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeout;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.cache.TestTimer;
import dev.sealwax.kms.crypto.KeyClosedException;
import dev.sealwax.kms.rootkey.RoutingRootKey;
import dev.sealwax.kms.store.FileKeysetStore;
import dev.sealwax.kms.store.StoredKeyset;
import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.DecryptionFailedException;
import dev.sealwax.kms.vocabulary.KeyUnavailableException;
import dev.sealwax.kms.vocabulary.KeyUnavailableException.Reason;
import dev.sealwax.kms.vocabulary.KeysetCorruptedException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class OpenKeysetTest {
  private static final KeysetId ORDERS = KeysetId.of("orders");

  private final Rig rig = new Rig();

  @BeforeEach
  void createOrders() {
    rig.keysets.create("orders", KeysetTemplate.defaults());
  }

  @AfterEach
  void close() {
    rig.close();
  }

  /** Runs {@code work} on many threads at the same moment; a thrown exception is a result too. */
  private static List<Object> together(int count, Supplier<Object> work) throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(count);
    try {
      CyclicBarrier barrier = new CyclicBarrier(count);
      List<Future<Object>> futures = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        futures.add(
            threads.submit(
                () -> {
                  barrier.await(60, TimeUnit.SECONDS);
                  try {
                    return work.get();
                  } catch (RuntimeException e) {
                    return e;
                  }
                }));
      }
      List<Object> results = new ArrayList<>();
      for (Future<Object> future : futures) {
        results.add(future.get(60, TimeUnit.SECONDS));
      }
      return results;
    } finally {
      threads.shutdownNow();
    }
  }

  /** Lets the first caller go on only when others have had time to queue behind it. */
  private static void dawdle() {
    try {
      Thread.sleep(100);
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  /** Lets the first caller go on only when all others are queued behind it. */
  private static void awaitAllButThisOne(int count, Set<Thread> callers) {
    while (callers.size() < count
        || callers.stream()
            .anyMatch(
                caller ->
                    caller != Thread.currentThread()
                        && caller.getState() != Thread.State.WAITING)) {
      Thread.onSpinWait();
    }
  }

  private static void await(CountDownLatch latch) {
    try {
      assertTrue(latch.await(60, TimeUnit.SECONDS));
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  /** A process whose background threads are real. */
  private OpenKeysets process(Background background) {
    return OpenKeysets.open(
        rig.store,
        rig.root,
        CachePolicy.of(Rig.SOFT, Rig.HARD, 10),
        Rig.REFRESH,
        rig.time,
        background,
        new SecureRandom(),
        null);
  }

  /** One without threads of its own. */
  private OpenKeysets process(LongSupplier clock) {
    return process(
        new Background(clock, Runnable::run, Runnable::run, task -> {}, TestTimer.SHARED));
  }

  private OpenKeysets liveProcess() {
    Executor threads =
        task -> {
          Thread thread = new Thread(task, "background");
          thread.setDaemon(true);
          thread.start();
        };
    return process(new Background(rig.time, threads, threads, threads, TestTimer.SHARED));
  }

  @Test
  void idleKeyset_revokedElsewhere_isSeenByTheFirstOperation() {
    try (OpenKeysets other = liveProcess()) {
      OpenKeyset keyset = other.open(ORDERS);
      keyset.snapshot(0);
      rig.keysets.disable("orders", 1);
      rig.time.advance(Duration.ofMinutes(10));
      assertEquals(KeyState.DISABLED, keyset.snapshot(0).versions().get(0).state());
    }
  }

  @Test
  void idleKeyset_storeHangs_servesAfterAShortWaitAndThenWithoutOne() {
    CountDownLatch hanging = new CountDownLatch(1);
    try (OpenKeysets other = liveProcess()) {
      OpenKeyset keyset = other.open(ORDERS);
      Keyset known = keyset.snapshot(0);
      rig.store.beforeLoad = () -> await(hanging);
      rig.time.advance(Duration.ofMinutes(10));
      assertTimeout(Duration.ofSeconds(5), () -> assertSame(known, keyset.snapshot(0)));
      long start = System.nanoTime();
      for (int i = 0; i < 20; i++) {
        rig.time.advance(Rig.REFRESH);
        assertSame(known, keyset.snapshot(0));
      }
      long taken = System.nanoTime() - start;
      assertTrue(taken < Rig.REFRESH.toNanos(), () -> "every operation waited, " + taken + " ns");
    } finally {
      hanging.countDown();
    }
  }

  @Test
  void idleKeyset_storeFails_nobodyWaitsForTheNextAttempt() {
    OpenKeyset keyset = rig.open("orders");
    Keyset known = keyset.snapshot(0);
    rig.store.beforeLoad = ScriptedStore::fail;
    rig.time.advance(Rig.REFRESH);
    keyset.snapshot(0);
    rig.runBackground();
    rig.time.advance(Rig.REFRESH.multipliedBy(2).minusNanos(1));
    long start = System.nanoTime();
    assertSame(known, keyset.snapshot(0));
    assertTrue(System.nanoTime() - start < Rig.REFRESH.toNanos());
  }

  @Test
  void refreshThatComesAfterTheClose_asksNobody() {
    OpenKeysets other = rig.process();
    other.open(ORDERS).snapshot(0);
    rig.time.advance(Rig.REFRESH);
    other.open(ORDERS).snapshot(0);
    other.close();
    rig.store.loads.set(0);
    assertTrue(rig.runBackground() > 0);
    assertEquals(0, rig.store.loads.get());
  }

  @Test
  void idleKeyset_whoseHardTimeEndsWhileItIsWaitedFor_isNotServed() {
    try (OpenKeysets other = process(rig.time)) {
      OpenKeyset keyset = other.open(ORDERS);
      keyset.snapshot(0);
      rig.time.advance(Rig.HARD.minusMillis(1));
      rig.store.beforeLoad =
          () -> {
            rig.time.advance(Duration.ofMillis(1));
            ScriptedStore.fail();
          };
      assertThrows(KeysetStoreException.class, () -> keyset.snapshot(0));
    }
  }

  @Test
  void idleKeyset_whoseHardTimeEndsWhileItIsWaitedFor_isReadAnew() {
    try (OpenKeysets other = process(rig.time)) {
      OpenKeyset keyset = other.open(ORDERS);
      keyset.snapshot(0);
      rig.keysets.disable("orders", 1);
      rig.time.advance(Rig.HARD.minusMillis(1));
      rig.store.beforeLoad =
          ScriptedStore.once(
              () -> {
                rig.time.advance(Duration.ofMillis(1));
                ScriptedStore.fail();
              });
      assertEquals(KeyState.DISABLED, keyset.snapshot(0).versions().get(0).state());
    }
  }

  @Test
  void refresh_threadCannotBeHad_isTriedAgain() {
    AtomicInteger errors = new AtomicInteger(1);
    Executor exhausted =
        task -> {
          if (errors.getAndDecrement() > 0) {
            throw new OutOfMemoryError("unable to create native thread");
          }
          task.run();
        };
    try (OpenKeysets other =
        process(new Background(rig.time, exhausted, exhausted, task -> {}, TestTimer.SHARED))) {
      OpenKeyset keyset = other.open(ORDERS);
      keyset.snapshot(0);
      rig.keysets.disable("orders", 1);
      rig.time.advance(Rig.REFRESH);
      assertThrows(OutOfMemoryError.class, () -> keyset.snapshot(0));
      keyset.snapshot(0);
      assertEquals(KeyState.DISABLED, keyset.snapshot(0).versions().get(0).state());
    }
  }

  /**
   * A keyset that moved to another root key needs it for its refresh; others do not wait for that.
   */
  @Test
  void rootKeyHangs_otherKeysetsAreRefreshed() {
    List<Runnable> rootCalls = new ArrayList<>();
    ScriptedRootKey second = new ScriptedRootKey("test:two");
    RoutingRootKey both = RoutingRootKey.of(rig.root, second);
    rig.keysets.create("files", KeysetTemplate.defaults());
    try (OpenKeysets other =
        OpenKeysets.open(
            rig.store,
            both,
            CachePolicy.of(Rig.SOFT, Rig.HARD, 10),
            Rig.REFRESH,
            rig.time,
            new Background(rig.time, Runnable::run, rootCalls::add, task -> {}, TestTimer.SHARED),
            new SecureRandom(),
            null)) {
      OpenKeyset files = other.open(KeysetId.of("files"));
      OpenKeyset orders = other.open(ORDERS);
      files.snapshot(0);
      orders.snapshot(0);
      rig.keysets.moveToRootKey("files", second);
      rig.keysets.disable("orders", 1);
      rig.time.advance(Rig.REFRESH);
      files.snapshot(0);
      orders.snapshot(0);
      assertEquals(1, rootCalls.size(), "the root key is called on a thread of its own");
      assertEquals(KeyState.DISABLED, orders.snapshot(0).versions().get(0).state());
      rootCalls.forEach(Runnable::run);
      assertEquals(
          "test:two", files.snapshot(0).versions().get(0).rootKeyId().orElseThrow().toString());
    }
  }

  @Test
  void idleKeyset_lastRefreshFailedLongAgo_waitsAllTheSame() {
    try (OpenKeysets other = liveProcess()) {
      OpenKeyset keyset = other.open(ORDERS);
      keyset.snapshot(0);
      rig.store.beforeLoad = ScriptedStore::fail;
      rig.time.advance(Duration.ofSeconds(1));
      keyset.snapshot(0);
      rig.store.beforeLoad = () -> {};
      rig.keysets.disable("orders", 1);
      rig.time.advance(Duration.ofMinutes(10));
      assertEquals(KeyState.DISABLED, keyset.snapshot(0).versions().get(0).state());
    }
  }

  @Test
  void refusedDocument_costsFewRootCalls() {
    OpenKeysets cold = rig.process();
    rig.store.edit("orders", text -> text.replace("\"ENABLED\"", "\"DISABLED\""));
    rig.root.unwraps.set(0);
    Set<Throwable> thrown = Collections.newSetFromMap(new IdentityHashMap<>());
    for (int i = 0; i < 50; i++) {
      thrown.add(assertThrows(KeysetCorruptedException.class, () -> cold.open(ORDERS).snapshot(0)));
    }
    assertEquals(50, thrown.size(), "each caller gets one of its own");
    assertEquals(1, rig.root.unwraps.get());
    rig.time.advance(RootCalls.FAILURE_PAUSE);
    assertThrows(KeysetCorruptedException.class, () -> cold.open(ORDERS).snapshot(0));
    assertEquals(2, rig.root.unwraps.get());
  }

  /** Cites KS-21. */
  @Test
  void storeBelied_opensButWrapsNoMore() {
    OpenKeyset keyset = rig.open("orders");
    Keyset known = keyset.snapshotToWrap(0);
    StoredKeyset genuine = rig.store.stored("orders");
    rig.store.edit("orders", text -> text.replace("\"ENABLED\"", "\"DISABLED\""));
    rig.time.advance(Rig.REFRESH);
    keyset.snapshot(0);
    rig.runBackground();
    assertSame(known, keyset.snapshot(0), "what is there still opens");
    assertNotSame(
        assertThrows(KeysetCorruptedException.class, () -> keyset.snapshotToWrap(0)),
        assertThrows(KeysetCorruptedException.class, () -> keyset.snapshotToWrap(0)));
    rig.store.plant(genuine);
    rig.time.advance(Rig.REFRESH);
    keyset.snapshot(0);
    rig.runBackground();
    assertSame(known, keyset.snapshotToWrap(0));
  }

  @Test
  void storeLostTheKeyset_opensButWrapsNoMore() {
    OpenKeyset keyset = rig.open("orders");
    Keyset known = keyset.snapshotToWrap(0);
    rig.store.forget("orders");
    assertThrows(KeysetStoreException.class, () -> rig.keysets.get("orders"));
    assertSame(known, keyset.snapshot(1));
    assertEquals(
        KeysetStoreException.Reason.NOT_FOUND,
        assertThrows(KeysetStoreException.class, () -> keyset.snapshotToWrap(1)).reason());
  }

  @Test
  void storeDown_wrapsOn() {
    OpenKeyset keyset = rig.open("orders");
    Keyset known = keyset.snapshotToWrap(0);
    rig.store.beforeLoad = ScriptedStore::fail;
    assertThrows(KeysetStoreException.class, () -> rig.keysets.get("orders"));
    assertSame(known, keyset.snapshotToWrap(0));
  }

  @Test
  void rootKeyDenies_isAskedOncePerPauseAndCounted() {
    OpenKeysets cold = rig.process();
    rig.root.beforeUnwrap =
        () -> {
          throw new RootKeyException(RootKeyException.Reason.ACCESS_DENIED, "scripted");
        };
    rig.root.unwraps.set(0);
    for (int i = 0; i < 50; i++) {
      assertThrows(RootKeyException.class, () -> cold.open(ORDERS).snapshot(0));
    }
    assertEquals(1, rig.root.unwraps.get());
    assertEquals(1, cold.rootFailures());
    assertEquals(0, cold.rootUnwraps());
    rig.time.advance(RootCalls.FAILURE_PAUSE);
    rig.root.beforeUnwrap = () -> {};
    assertEquals(1, cold.open(ORDERS).snapshot(0).primary());
    assertEquals(2, rig.root.unwraps.get());
  }

  @Test
  void firstUse_thousandThreads_oneLoadAndOneRootUnwrap() throws Exception {
    byte[] wrapped = Rig.wrap(rig.open("orders"), 1);
    rig.keysets.rotate("orders");
    OpenKeysets cold = rig.process();
    rig.store.loads.set(0);
    rig.root.unwraps.set(0);
    rig.root.beforeUnwrap = OpenKeysetTest::dawdle;
    List<Object> results = together(1000, () -> Rig.unwrap(cold.open(ORDERS), 1, wrapped));
    results.forEach(r -> assertArrayEquals(new byte[32], assertInstanceOf(byte[].class, r)));
    assertEquals(1, rig.root.unwraps.get());
    assertEquals(1, rig.store.loads.get());
    assertEquals(1, cold.rootUnwraps());
  }

  @Test
  void firstUse_thatLooksBeforeAndComesAfterTheFirstRead_readsNoSecondTime() {
    AtomicReference<Runnable> afterTheLook = new AtomicReference<>(() -> {});
    LongSupplier clock =
        () -> {
          afterTheLook.getAndSet(() -> {}).run();
          return rig.time.getAsLong();
        };
    try (OpenKeysets cold = process(clock)) {
      OpenKeyset keyset = cold.open(ORDERS);
      rig.store.loads.set(0);
      AtomicReference<Keyset> others = new AtomicReference<>();
      afterTheLook.set(() -> others.set(keyset.snapshot(0)));
      assertSame(keyset.snapshot(0), others.get());
      assertEquals(1, rig.store.loads.get());
    }
  }

  /** The snapshot must not be seen before the key that was unwrapped with it. */
  @Test
  void firstUse_whileTheFirstReadIsBeingPublished_asksTheRootKeyNoSecondTime() throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(2);
    AtomicReference<Runnable> duringPut = new AtomicReference<>(() -> {});
    LongSupplier clock =
        () -> {
          if (StackWalker.getInstance()
              .walk(frames -> frames.anyMatch(f -> f.getMethodName().equals("put")))) {
            duringPut.getAndSet(() -> {}).run();
          }
          return rig.time.getAsLong();
        };
    try (OpenKeysets cold = process(clock)) {
      OpenKeyset keyset = cold.open(ORDERS);
      AtomicReference<Future<byte[]>> second = new AtomicReference<>();
      duringPut.set(
          () -> {
            second.set(threads.submit(() -> Rig.wrap(keyset, 1)));
            dawdle();
          });
      rig.root.unwraps.set(0);
      threads.submit(() -> Rig.wrap(keyset, 1)).get(60, TimeUnit.SECONDS);
      second.get().get(60, TimeUnit.SECONDS);
      assertEquals(1, rig.root.unwraps.get());
    } finally {
      threads.shutdownNow();
    }
  }

  @Test
  void laterVersion_manyThreads_oneRootUnwrap() throws Exception {
    byte[] wrapped = Rig.wrap(rig.open("orders"), 1);
    rig.keysets.rotate("orders");
    OpenKeysets cold = rig.process();
    Rig.wrap(cold.open(ORDERS), 2);
    rig.root.unwraps.set(0);
    rig.root.beforeUnwrap = OpenKeysetTest::dawdle;
    together(100, () -> Rig.unwrap(cold.open(ORDERS), 1, wrapped))
        .forEach(r -> assertArrayEquals(new byte[32], assertInstanceOf(byte[].class, r)));
    assertEquals(1, rig.root.unwraps.get());
  }

  @Test
  void firstUse_rootFails_allWaitersGetItsExceptionAndTheNextTryWorks() throws Exception {
    OpenKeysets cold = rig.process();
    rig.root.unwraps.set(0);
    rig.root.beforeUnwrap =
        () -> {
          dawdle();
          ScriptedRootKey.fail();
        };
    for (Object result : together(50, () -> cold.open(ORDERS).snapshot(0))) {
      RootKeyException e = assertInstanceOf(RootKeyException.class, result);
      assertEquals(RootKeyException.Reason.UNAVAILABLE, e.reason());
    }
    assertTrue(rig.root.unwraps.get() < 10, "waiters share the failure: " + rig.root.unwraps);
    rig.root.beforeUnwrap = () -> {};
    rig.time.advance(RootCalls.FAILURE_PAUSE);
    Rig.wrap(cold.open(ORDERS), 1);
  }

  @Test
  void firstUse_interruptedWaiter_getsTheResultAndKeepsItsFlag() throws Exception {
    OpenKeysets cold = rig.process();
    CountDownLatch loading = new CountDownLatch(1);
    CountDownLatch goOn = new CountDownLatch(1);
    rig.store.beforeLoad =
        () -> {
          loading.countDown();
          try {
            assertTrue(goOn.await(60, TimeUnit.SECONDS));
          } catch (InterruptedException e) {
            throw new AssertionError(e);
          }
        };
    Thread first = new Thread(() -> cold.open(ORDERS).snapshot(0));
    first.start();
    assertTrue(loading.await(60, TimeUnit.SECONDS));
    AtomicReference<Object> outcome = new AtomicReference<>();
    Thread waiter =
        new Thread(
            () -> {
              Thread.currentThread().interrupt();
              Keyset keyset = cold.open(ORDERS).snapshot(0);
              outcome.set(keyset.primary() + " " + Thread.currentThread().isInterrupted());
            });
    waiter.start();
    goOn.countDown();
    waiter.join(60_000);
    first.join(60_000);
    assertEquals("1 true", outcome.get());
  }

  @Test
  void firstUse_wantedVersionDisabled_authenticatesWithThePrimary() {
    rig.keysets.rotate("orders");
    rig.keysets.disable("orders", 1);
    OpenKeysets cold = rig.process();
    rig.root.unwraps.set(0);
    OpenKeyset keyset = cold.open(ORDERS);
    Keyset snapshot = keyset.snapshot(1);
    assertThrows(KeyUnavailableException.class, () -> snapshot.requireUse(1, KeyUse.DECRYPT));
    Rig.wrap(keyset, 2);
    assertEquals(1, rig.root.unwraps.get());
    assertEquals(1, cold.keyVersionStatistics().entries());
  }

  @Test
  void firstUse_everyVersionDisabled_isAuthenticatedButKeepsNoKey() {
    rig.keysets.disable("orders", 1);
    OpenKeysets cold = rig.process();
    Keyset snapshot = cold.open(ORDERS).snapshot(0);
    assertEquals(KeyState.DISABLED, snapshot.versions().get(0).state());
    assertEquals(0, cold.keyVersionStatistics().entries());
  }

  @Test
  void snapshot_withinTheInterval_readsNothing() {
    OpenKeyset keyset = rig.open("orders");
    rig.store.loads.set(0);
    rig.time.advance(Rig.REFRESH.minusNanos(1));
    Keyset snapshot = keyset.snapshot(0);
    assertSame(snapshot, keyset.snapshot(1));
    assertEquals(0, rig.store.loads.get());
    assertEquals(0, rig.background.size());
  }

  @Test
  void snapshotAndRequireUse_hotPath_allocateNothing() {
    var threads = (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
    long me = Thread.currentThread().getId();
    OpenKeyset keyset = rig.open("orders");
    long allocated = Long.MAX_VALUE;
    // The first rounds run interpreted; the JVM's own bookkeeping may fall into any.
    for (int round = 0; round < 10; round++) {
      long before = threads.getThreadAllocatedBytes(me);
      for (int i = 0; i < 10_000; i++) {
        keyset.snapshot(1).requireUse(1, KeyUse.DECRYPT);
      }
      allocated = Math.min(allocated, threads.getThreadAllocatedBytes(me) - before);
    }
    assertTrue(allocated < 10_000, "10,000 calls allocated " + allocated + " bytes");
  }

  @Test
  void snapshot_pastTheInterval_startsOneBackgroundRefreshAndServesTheOld() {
    OpenKeyset keyset = rig.open("orders");
    OpenKeysets other = rig.process();
    other.keysets().rotate("orders");
    rig.time.advance(Rig.REFRESH);
    rig.store.loads.set(0);
    assertEquals(1, keyset.snapshot(0).primary());
    assertEquals(1, keyset.snapshot(0).primary());
    assertEquals(0, rig.store.loads.get());
    assertEquals(1, rig.runBackground());
    assertEquals(1, rig.store.loads.get());
    assertEquals(2, keyset.snapshot(0).primary());
    rig.time.advance(Rig.REFRESH);
    keyset.snapshot(0);
    assertEquals(1, rig.background.size(), "and the next one after another interval");
  }

  @Test
  void snapshot_unchangedRefresh_keepsTheSameKeysetObject() {
    OpenKeyset keyset = rig.open("orders");
    Keyset before = keyset.snapshot(0);
    rig.root.unwraps.set(0);
    rig.time.advance(Rig.REFRESH);
    keyset.snapshot(0);
    rig.runBackground();
    assertSame(before, keyset.snapshot(0));
    assertEquals(0, rig.root.unwraps.get());
    assertEquals(0, rig.background.size());
  }

  @Test
  void disable_inTheSameProcess_refusedByTheNextOperation() {
    byte[] wrapped = Rig.wrap(rig.open("orders"), 1);
    Keyset before = rig.open("orders").snapshot(0);
    rig.keysets.disable("orders", 1);
    KeyUnavailableException e =
        assertThrows(
            KeyUnavailableException.class, () -> Rig.unwrap(rig.open("orders"), 1, wrapped));
    assertEquals(Reason.DISABLED, e.reason());
    assertEquals(0, rig.process.keyVersionStatistics().entries());
    KeyUnavailableException late =
        assertThrows(
            KeyUnavailableException.class,
            () ->
                rig.open("orders")
                    .withKeyEncryptionKey(
                        before, 1, KeyUse.DECRYPT, (kek, consent) -> kek.unwrap(wrapped, 0)));
    assertEquals(Reason.DISABLED, late.reason(), "not even an operation with the old snapshot");
  }

  @Test
  void withKeyEncryptionKey_refusedByTheCallersSnapshot_isRefusedThoughANewerOneAllows() {
    Keyset disabled = rig.keysets.disable("orders", 1);
    rig.keysets.enable("orders", 1);
    Rig.wrap(rig.open("orders"), 1);
    assertThrows(
        KeyUnavailableException.class,
        () ->
            rig.open("orders")
                .withKeyEncryptionKey(disabled, 1, KeyUse.DECRYPT, (kek, consent) -> kek));
  }

  @Test
  void fileStore_twoProcesses_oneKeyset(@TempDir Path directory) {
    FileKeysetStore store = FileKeysetStore.at(directory);
    List<OpenKeysets> processes = new ArrayList<>();
    for (int i = 0; i < 2; i++) {
      processes.add(
          OpenKeysets.open(
              store,
              rig.root,
              CachePolicy.of(Rig.SOFT, Rig.HARD, 10),
              Rig.REFRESH,
              rig.time,
              new Background(rig.time, Runnable::run, Runnable::run, task -> {}, TestTimer.SHARED),
              new SecureRandom(),
              null));
    }
    try (store;
        OpenKeysets first = processes.get(0);
        OpenKeysets second = processes.get(1)) {
      first.keysets().create("files", KeysetTemplate.defaults());
      KeysetId files = KeysetId.of("files");
      second.open(files).snapshot(0);
      first.keysets().rotate("files");
      byte[] wrapped = Rig.wrap(first.open(files), 2);
      assertArrayEquals(new byte[32], Rig.unwrap(second.open(files), 2, wrapped));
      assertEquals(List.of(files), second.keysets().list().toList());
      assertEquals(3, second.keysets().rotate("files").primary());
      assertEquals(3, first.keysets().get("files").primary());
    }
  }

  @Test
  void disable_inAnotherProcess_refusedWithinTheRefreshInterval() {
    OpenKeysets other = rig.process();
    byte[] wrapped = Rig.wrap(other.open(ORDERS), 1);
    rig.keysets.disable("orders", 1);
    rig.time.advance(Rig.REFRESH);
    Rig.unwrap(other.open(ORDERS), 1, wrapped);
    rig.runBackground();
    assertThrows(KeyUnavailableException.class, () -> Rig.unwrap(other.open(ORDERS), 1, wrapped));
    assertEquals(0, other.keyVersionStatistics().entries());
  }

  @Test
  void compromised_keyStaysForReencryptionOnly() {
    byte[] wrapped = Rig.wrap(rig.open("orders"), 1);
    Keyset keyset = rig.keysets.compromise("orders", 1);
    assertThrows(KeyUnavailableException.class, () -> keyset.requireUse(1, KeyUse.DECRYPT));
    keyset.requireUse(1, KeyUse.REENCRYPT);
    assertArrayEquals(new byte[32], Rig.unwrap(rig.open("orders"), 1, wrapped));
  }

  @Test
  void storeFails_oldSnapshotServesUntilTheHardLimit_thenThrows() {
    try (OpenKeysets live = liveProcess()) {
      OpenKeyset keyset = live.open(ORDERS);
      keyset.snapshot(0);
      rig.store.loads.set(0);
      rig.store.beforeLoad = ScriptedStore::fail;
      for (int minute = 1; minute < 60; minute++) {
        rig.time.advance(Duration.ofMinutes(1));
        assertEquals(1, keyset.snapshot(0).primary());
      }
      assertEquals(59, rig.store.loads.get());
      rig.time.advance(Duration.ofMinutes(1));
      assertThrows(KeysetStoreException.class, () -> keyset.snapshot(0));
      rig.store.beforeLoad = () -> {};
      assertEquals(1, keyset.snapshot(0).primary());
    }
  }

  @Test
  void storeFails_refreshIsTriedOncePerInterval() {
    OpenKeyset keyset = rig.open("orders");
    rig.store.beforeLoad = ScriptedStore::fail;
    rig.time.advance(Rig.REFRESH);
    keyset.snapshot(0);
    assertEquals(1, rig.runBackground());
    keyset.snapshot(0);
    assertEquals(0, rig.background.size());
    rig.time.advance(Rig.REFRESH);
    keyset.snapshot(0);
    assertEquals(1, rig.background.size());
  }

  @Test
  void rollback_noticedByTheBackground_keepsTheNewerSnapshot() {
    StoredKeyset old = rig.store.stored("orders");
    OpenKeyset keyset = rig.open("orders");
    rig.keysets.disable("orders", 1);
    rig.store.plant(old);
    rig.time.advance(Rig.REFRESH);
    keyset.snapshot(0);
    rig.runBackground();
    assertEquals(KeyState.DISABLED, keyset.snapshot(0).versions().get(0).state());
    assertThrows(KeysetCorruptedException.class, () -> rig.keysets.get("orders"));
  }

  @Test
  void unknownVersion_rotatedElsewhere_isFoundAtOnce() {
    OpenKeysets other = rig.process();
    other.open(ORDERS).snapshot(0);
    rig.keysets.rotate("orders");
    byte[] wrapped = Rig.wrap(rig.open("orders"), 2);
    assertArrayEquals(new byte[32], Rig.unwrap(other.open(ORDERS), 2, wrapped));
  }

  /** Cites KS-16. */
  @Test
  void unknownVersion_manyCallers_shareTheirLooks() throws Exception {
    OpenKeyset keyset = rig.open("orders");
    rig.store.loads.set(0);
    Set<Thread> callers = ConcurrentHashMap.newKeySet();
    rig.store.beforeLoad =
        () -> {
          if (rig.store.loads.get() <= 1) {
            awaitAllButThisOne(100, callers);
          }
        };
    for (Object result :
        together(
            100,
            () -> {
              callers.add(Thread.currentThread());
              return keyset.snapshot(7);
            })) {
      Keyset snapshot = assertInstanceOf(Keyset.class, result);
      assertEquals(
          Reason.UNKNOWN_VERSION,
          assertThrows(KeyUnavailableException.class, () -> snapshot.requireUse(7, KeyUse.DECRYPT))
              .reason());
    }
    // Who came while a look was reading the store shares the next one.
    assertTrue(rig.store.loads.get() <= 2, () -> rig.store.loads + " loads");
  }

  @Test
  void unknownVersion_againAndAgain_looksOnlySoOften() {
    OpenKeyset keyset = rig.open("orders");
    keyset.snapshot(7);
    rig.store.loads.set(0);
    long start = System.nanoTime();
    keyset.snapshot(8);
    long early = System.nanoTime() - start;
    assertEquals(1, rig.store.loads.get(), "refused without a look");
    assertTrue(early >= VersionLooks.PAUSE_NANOS, () -> "waited only " + early + " ns");
    rig.store.loads.set(0);
    keyset.snapshot(Keyset.MAX_VERSIONS + 1);
    assertEquals(0, rig.store.loads.get(), "no keyset can ever have it");
  }

  /** A flood of forged headers must not hide a version that is there. */
  @Test
  void unknownVersion_publishedDuringALookForAnother_isFound() throws Exception {
    OpenKeysets other = rig.process();
    OpenKeyset seen = other.open(ORDERS);
    seen.snapshot(0);
    CountDownLatch reading = new CountDownLatch(1);
    CountDownLatch published = new CountDownLatch(1);
    rig.store.afterLoad =
        () -> {
          reading.countDown();
          await(published);
        };
    ExecutorService threads = Executors.newFixedThreadPool(2);
    try {
      Future<Keyset> forged = threads.submit(() -> seen.snapshot(900));
      await(reading);
      rig.store.afterLoad = () -> {};
      rig.keysets.rotate("orders");
      Future<Keyset> genuine = threads.submit(() -> seen.snapshot(2));
      Thread.sleep(20);
      published.countDown();
      assertFalse(forged.get(10, TimeUnit.SECONDS).has(900));
      assertTrue(genuine.get(10, TimeUnit.SECONDS).has(2), "called unknown though it was there");
    } finally {
      threads.shutdownNow();
    }
  }

  @Test
  void unknownVersion_storeFails_isNotReportedAsUnknown() {
    OpenKeyset keyset = rig.open("orders");
    rig.store.beforeLoad = ScriptedStore::fail;
    assertThrows(KeysetStoreException.class, () -> keyset.snapshot(2));
    int loads = rig.store.loads.get();
    assertThrows(KeysetStoreException.class, () -> keyset.snapshot(2), "once more");
    assertEquals(loads + 1, rig.store.loads.get());
  }

  @Test
  void keyVersion_softLimit_renewedInTheBackgroundWhileServing() {
    OpenKeyset keyset = rig.open("orders");
    Rig.wrap(keyset, 1);
    rig.root.unwraps.set(0);
    rig.time.advance(Rig.SOFT.multipliedBy(9).dividedBy(10).minusNanos(1));
    Rig.wrap(keyset, 1);
    rig.runBackground();
    assertEquals(0, rig.root.unwraps.get());
    rig.time.advance(Rig.SOFT.dividedBy(10).plusNanos(1));
    Rig.wrap(keyset, 1);
    assertEquals(0, rig.root.unwraps.get(), "not on the caller's thread");
    rig.runBackground();
    assertEquals(1, rig.root.unwraps.get());
    Rig.wrap(keyset, 1);
    rig.runBackground();
    assertEquals(1, rig.root.unwraps.get());
  }

  @Test
  void keyVersion_rootFails_servesUntilTheHardLimit() {
    OpenKeysets live = liveProcess();
    OpenKeyset keyset = live.open(ORDERS);
    byte[] wrapped = Rig.wrap(keyset, 1);
    rig.root.beforeUnwrap = ScriptedRootKey::fail;
    for (int minute = 1; minute < 60; minute++) {
      rig.time.advance(Duration.ofMinutes(1));
      Rig.unwrap(keyset, 1, wrapped);
    }
    rig.time.advance(Duration.ofMinutes(1));
    assertThrows(RootKeyException.class, () -> Rig.unwrap(keyset, 1, wrapped));
    rig.root.beforeUnwrap = () -> {};
    rig.time.advance(RootCalls.FAILURE_PAUSE);
    Rig.unwrap(keyset, 1, wrapped);
    assertTrue(live.keyVersionStatistics().refreshFailures() > 1);
    live.close();
  }

  @Test
  void noCache_everyUseUnwraps_andSnapshotsDieWithTheirInterval() {
    OpenKeysets strict = rig.process(rig.root, CachePolicy.none());
    OpenKeyset keyset = strict.open(ORDERS);
    keyset.snapshot(0);
    rig.root.unwraps.set(0);
    Rig.wrap(keyset, 1);
    Rig.wrap(keyset, 1);
    assertEquals(2, rig.root.unwraps.get());
    rig.store.beforeLoad = ScriptedStore::fail;
    rig.time.advance(Rig.REFRESH);
    assertThrows(KeysetStoreException.class, () -> keyset.snapshot(0));
  }

  @Test
  void noCache_keyLentIsClosedAfterUse() {
    OpenKeysets strict = rig.process(rig.root, CachePolicy.none());
    OpenKeyset keyset = strict.open(ORDERS);
    KeyEncryptionKey kept =
        keyset.withKeyEncryptionKey(keyset.snapshot(0), 1, KeyUse.DECRYPT, (kek, consent) -> kek);
    assertThrows(KeyClosedException.class, () -> kept.wrap(new byte[32]));
  }

  @Test
  void evictedKey_isWiped() {
    OpenKeyset keyset = rig.open("orders");
    KeyEncryptionKey kept =
        keyset.withKeyEncryptionKey(keyset.snapshot(0), 1, KeyUse.DECRYPT, (kek, consent) -> kek);
    kept.wrap(new byte[32]);
    rig.keysets.disable("orders", 1);
    assertThrows(KeyClosedException.class, () -> kept.wrap(new byte[32]));
  }

  @Test
  void keyClosedUnderItsUser_isFetchedAgain() {
    OpenKeyset keyset = rig.open("orders");
    AtomicInteger calls = new AtomicInteger();
    List<KeyEncryptionKey> seen = new ArrayList<>();
    byte[] wrapped =
        keyset.withKeyEncryptionKey(
            keyset.snapshot(0),
            1,
            KeyUse.DECRYPT,
            (kek, consent) -> {
              seen.add(kek);
              if (calls.getAndIncrement() == 0) {
                rig.keysets.disable("orders", 1);
                rig.keysets.enable("orders", 1);
              }
              return kek.wrap(new byte[32]);
            });
    assertEquals(2, calls.get());
    assertNotSame(seen.get(0), seen.get(1));
    assertArrayEquals(new byte[32], Rig.unwrap(keyset, 1, wrapped));
  }

  @Test
  void keyClosedAlways_lastAttemptHasItsOwn() {
    OpenKeyset keyset = rig.open("orders");
    AtomicInteger calls = new AtomicInteger();
    keyset.withKeyEncryptionKey(
        keyset.snapshot(0),
        1,
        KeyUse.DECRYPT,
        (kek, consent) -> {
          calls.incrementAndGet();
          rig.keysets.disable("orders", 1);
          rig.keysets.enable("orders", 1);
          return kek.wrap(new byte[32]);
        });
    assertEquals(4, calls.get());
  }

  @Test
  void wrongOrAlteredWrapping_failsLikeAnyForgery() {
    OpenKeyset keyset = rig.open("orders");
    byte[] wrapped = Rig.wrap(keyset, 1);
    rig.keysets.rotate("orders");
    assertThrows(DecryptionFailedException.class, () -> Rig.unwrap(keyset, 2, wrapped));
    wrapped[39] ^= 1;
    assertThrows(DecryptionFailedException.class, () -> Rig.unwrap(keyset, 1, wrapped));
  }

  @Test
  void open_sameName_sameObject() {
    assertSame(rig.open("orders"), rig.open("orders"));
  }

  @Test
  void close_wipesEverythingAndRefusesTheRest() {
    OpenKeyset keyset = rig.open("orders");
    Keyset snapshot = keyset.snapshot(0);
    KeyEncryptionKey kept =
        keyset.withKeyEncryptionKey(snapshot, 1, KeyUse.DECRYPT, (kek, consent) -> kek);
    rig.process.close();
    assertThrows(KeyClosedException.class, () -> kept.wrap(new byte[32]));
    assertThrows(IllegalStateException.class, () -> keyset.snapshot(0));
    assertThrows(IllegalStateException.class, () -> keyset.snapshot(9));
    assertThrows(
        IllegalStateException.class,
        () ->
            keyset.withKeyEncryptionKey(
                snapshot, 1, KeyUse.DECRYPT, (kek, consent) -> kek.wrap(new byte[32])));
    assertThrows(IllegalStateException.class, () -> rig.open("orders"));
    assertThrows(IllegalStateException.class, () -> rig.keysets.rotate("orders"));
    rig.process.close();
  }

  @Test
  void close_duringTheFirstLoad_leavesNoKeyBehind() throws Exception {
    OpenKeysets cold = rig.process();
    OpenKeyset keyset = cold.open(ORDERS);
    rig.root.beforeUnwrap = cold::close;
    assertThrows(IllegalStateException.class, () -> keyset.snapshot(0));
    assertEquals(0, cold.keyVersionStatistics().entries());
  }

  @Test
  void stress_rotateDisableEvictWhileWrapping_everyWrappingOpens() throws Exception {
    OpenKeysets small = rig.process(rig.root, CachePolicy.of(Rig.SOFT, Rig.HARD, 2));
    OpenKeyset keyset = small.open(ORDERS);
    AtomicInteger opened = new AtomicInteger();
    AtomicInteger turn = new AtomicInteger();
    List<Object> results =
        together(
            8,
            () -> {
              int me = turn.getAndIncrement();
              for (int i = 0; i < 400; i++) {
                if (me == 0 && i % 20 == 0) {
                  small.keysets().rotate("orders");
                  continue;
                }
                byte[] dataKey = new byte[32];
                dataKey[0] = (byte) i;
                Keyset snapshot = keyset.snapshot(0);
                int version = snapshot.primary();
                byte[] wrapped =
                    keyset.withKeyEncryptionKey(
                        snapshot, version, KeyUse.DECRYPT, (kek, consent) -> kek.wrap(dataKey));
                int old = 1 + (i + me) % version;
                keyset.withKeyEncryptionKey(
                    snapshot, old, KeyUse.DECRYPT, (kek, consent) -> kek.wrap(dataKey));
                assertArrayEquals(dataKey, Rig.unwrap(keyset, version, wrapped));
                opened.incrementAndGet();
              }
              return "done";
            });
    results.forEach(r -> assertEquals("done", r));
    assertEquals(8 * 400 - 20, opened.get());
  }
}
