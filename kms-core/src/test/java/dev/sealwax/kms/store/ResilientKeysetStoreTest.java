package dev.sealwax.kms.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.guard.GuardTiming;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.rootkey.TestRootKeys;
import dev.sealwax.kms.testkit.ForwardingKeysetStore;
import dev.sealwax.kms.vocabulary.GuardHealth.Circuit;
import dev.sealwax.kms.vocabulary.GuardPolicy;
import dev.sealwax.kms.vocabulary.KeysetConflictException;
import dev.sealwax.kms.vocabulary.KeysetCorruptedException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import dev.sealwax.kms.vocabulary.KeysetStoreException.Reason;
import dev.sealwax.kms.vocabulary.KmsException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

@Timeout(60)
final class ResilientKeysetStoreTest {
  private static final KeysetId ORDERS = KeysetId.of("orders");
  private static final Duration LONG = Duration.ofMinutes(10);
  private static final GuardPolicy DEFAULTS = GuardPolicy.defaults();
  private static final Duration SHORT = Duration.ofMillis(50);

  /** For a call that is not held up, on a machine that does much else. */
  private static final Duration ENOUGH = Duration.ofSeconds(1);

  private static final Duration OPEN_TIME = Duration.ofMillis(500);

  /** Fails or hangs by script, and counts. */
  private static final class Scripted extends ForwardingKeysetStore {
    final Queue<KmsException> failures = new ConcurrentLinkedQueue<>();
    final AtomicInteger calls = new AtomicInteger();
    final AtomicInteger inside = new AtomicInteger();
    final AtomicInteger closes = new AtomicInteger();
    volatile @Nullable CountDownLatch hang;
    volatile @Nullable CountDownLatch hangWrites;
    volatile @Nullable KmsException always;

    Scripted() {
      super(InMemoryKeysetStore.create());
    }

    private void meet() {
      meet(hang);
    }

    /** Ignores interrupts, as native code and bad drivers do. */
    private void meet(@Nullable CountDownLatch latch) {
      calls.incrementAndGet();
      inside.incrementAndGet();
      try {
        while (latch != null && latch.getCount() > 0) {
          Thread.onSpinWait();
        }
      } finally {
        inside.decrementAndGet();
      }
      KmsException failure = failures.poll();
      failure = failure == null ? always : failure;
      if (failure != null) {
        throw failure;
      }
    }

    @Override
    public Optional<StoredKeyset> load(KeysetId id) {
      meet();
      return super.load(id);
    }

    @Override
    public void create(StoredKeyset first) {
      meet();
      super.create(first);
    }

    @Override
    public void replace(StoredKeyset next) {
      meet(hangWrites != null ? hangWrites : hang);
      super.replace(next);
    }

    @Override
    public List<KeysetId> list(int limit) {
      meet();
      return super.list(limit);
    }

    @Override
    public List<KeysetId> listAfter(KeysetId after, int limit) {
      meet();
      return super.listAfter(after, limit);
    }

    @Override
    public void close() {
      closes.incrementAndGet();
      super.close();
    }
  }

  private final Scripted target = new Scripted();
  private final CountDownLatch release = new CountDownLatch(1);
  private final AtomicLong nanos = new AtomicLong(Long.MAX_VALUE - 5);
  private final GuardTiming manual = new GuardTiming(nanos::get, nanos::addAndGet, most -> most);
  private ResilientKeysetStore store = inManualTime(DEFAULTS);

  private ResilientKeysetStore inManualTime(GuardPolicy policy) {
    return GuardedKeysetStore.around(target, policy, manual);
  }

  private ResilientKeysetStore inRealTime(GuardPolicy policy) {
    return ResilientKeysetStore.around(target, policy);
  }

  @AfterEach
  void close() {
    release.countDown();
    store.close();
  }

  private static KeysetStoreException failure(Reason reason) {
    return new KeysetStoreException(reason, "scripted", null);
  }

  private static void assertUnavailable(Executable call) {
    assertEquals(Reason.UNAVAILABLE, assertThrows(KeysetStoreException.class, call).reason());
  }

  private static void await(BooleanSupplier condition) {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    while (!condition.getAsBoolean()) {
      assertTrue(System.nanoTime() - end < 0, "waited too long");
      Thread.onSpinWait();
    }
  }

  // --- attempts ---

  static Stream<Consumer<KeysetStore>> reads() {
    return Stream.of(
        store -> store.load(ORDERS), store -> store.list(10), store -> store.listAfter(ORDERS, 10));
  }

  @ParameterizedTest
  @MethodSource("reads")
  void reads_areRepeatedWhileTheStoreIsUnavailable(Consumer<KeysetStore> read) {
    target.failures.add(failure(Reason.UNAVAILABLE));
    target.failures.add(failure(Reason.UNAVAILABLE));
    read.accept(store);
    assertEquals(3, target.calls.get());
    assertEquals(2, store.health().failures());
    assertEquals(Optional.of(Reason.UNAVAILABLE), store.health().lastFailure());
  }

  @ParameterizedTest
  @MethodSource("reads")
  void reads_areRepeatedNoMoreOftenThanAllowed(Consumer<KeysetStore> read) {
    target.always = failure(Reason.UNAVAILABLE);
    assertUnavailable(() -> read.accept(store));
    assertEquals(3, target.calls.get());
  }

  static Stream<Consumer<KeysetStore>> writes() {
    return Stream.of(
        store -> store.create(new StoredKeyset(ORDERS, 1, "{}")),
        store -> store.replace(new StoredKeyset(ORDERS, 2, "{}")));
  }

  @ParameterizedTest
  @MethodSource("writes")
  void writes_areNeverRepeated(Consumer<KeysetStore> write) {
    target.always = failure(Reason.UNAVAILABLE);
    assertUnavailable(() -> write.accept(store));
    assertEquals(1, target.calls.get());
  }

  static Stream<KmsException> answers() {
    return Stream.of(
        failure(Reason.NOT_FOUND),
        failure(Reason.INACCESSIBLE),
        new KeysetConflictException(ORDERS, "scripted"),
        new KeysetCorruptedException(ORDERS, "scripted", null));
  }

  @ParameterizedTest
  @MethodSource("answers")
  void otherAnswers_arePassedOnAtOnceAndLeaveTheCircuitAlone(KmsException answer) {
    target.always = answer;
    for (int i = 1; i <= 50; i++) {
      assertSame(answer, assertThrows(KmsException.class, () -> store.load(ORDERS)));
      assertEquals(i, target.calls.get());
    }
    assertEquals(Circuit.CLOSED, store.health().circuit());
    assertEquals(0, store.health().failures());
  }

  // --- circuit ---

  @Test
  void maxDocumentChars_isThatOfTheStoreBehind() {
    KeysetStore small =
        new ForwardingKeysetStore(InMemoryKeysetStore.create()) {
          @Override
          public int maxDocumentChars() {
            return 400_000;
          }
        };
    try (KeysetStore guarded = ResilientKeysetStore.around(small);
        KeysetStore watchable = ResilientKeysetStore.around(InMemoryKeysetStore.create())) {
      assertEquals(400_000, guarded.maxDocumentChars());
      assertEquals(StoredKeyset.MAX_DOCUMENT_CHARS, watchable.maxDocumentChars());
    }
  }

  @Test
  void circuit_leavesTheStoreAloneAndFindsOutThatItIsBack() {
    store = inManualTime(DEFAULTS.withAttempts(1, LONG).withCircuit(4, OPEN_TIME));
    target.always = failure(Reason.UNAVAILABLE);
    assertUnavailable(() -> store.load(ORDERS));
    assertUnavailable(() -> store.load(ORDERS));
    assertEquals(Circuit.OPEN, store.health().circuit());
    assertUnavailable(() -> store.load(ORDERS));
    assertUnavailable(() -> store.replace(new StoredKeyset(ORDERS, 2, "{}")));
    assertEquals(2, target.calls.get());
    target.always = null;
    nanos.addAndGet(OPEN_TIME.plusMillis(1).toNanos());
    assertEquals(Optional.empty(), store.load(ORDERS));
    assertEquals(Circuit.CLOSED, store.health().circuit());
  }

  // --- time ---

  @Test
  void readThatHangs_isGivenUpAtTheDeadline() {
    store = inRealTime(DEFAULTS.withDeadline(SHORT).withAttempts(1, LONG).withConcurrency(8, 8));
    target.hang = release;
    long quickest = Long.MAX_VALUE;
    for (int i = 0; i < 5; i++) {
      long start = System.nanoTime();
      assertUnavailable(() -> store.load(ORDERS));
      quickest = Math.min(quickest, System.nanoTime() - start);
    }
    assertTrue(quickest >= SHORT.toNanos());
    assertTrue(quickest < SHORT.plusMillis(50).toNanos(), quickest + " ns");
  }

  /** Its attempt may take until the deadline, however little one of a read may. */
  @Test
  void writeThatIsSlow_isWaitedForUntilTheDeadline() {
    store = inRealTime(DEFAULTS.withDeadline(LONG).withAttempts(3, Duration.ofMillis(1)));
    target.hang = release;
    CompletableFuture<Void> write =
        CompletableFuture.runAsync(() -> store.create(new StoredKeyset(ORDERS, 1, "{}")));
    await(() -> target.inside.get() == 1);
    assertThrows(TimeoutException.class, () -> write.get(100, TimeUnit.MILLISECONDS));
    release.countDown();
    write.join();
    assertEquals(1, target.calls.get());
  }

  /** The verb may have been told "unavailable", but what it wrote is there, once. */
  @Test
  void verbWhoseWriteIsGivenUp_takesEffectOnce() {
    store = inRealTime(DEFAULTS.withDeadline(ENOUGH).withAttempts(1, LONG).withCircuit(1000, LONG));
    try (Kms kms = Kms.builder().rootKey(TestRootKeys.inMemory()).store(store).build()) {
      kms.keysets().create("orders", KeysetTemplate.defaults());
      target.hangWrites = release;
      assertUnavailable(() -> kms.keysets().rotate("orders"));
      assertEquals(1, kms.keysets().get("orders").versions().size());
      release.countDown();
      await(() -> kms.keysets().get("orders").versions().size() == 2);
      kms.keysets().rotate("orders");
      assertEquals(3, kms.keysets().get("orders").versions().size());
    }
  }

  @Test
  void replaceWhoseCallerHasLeft_isFoundByTheNextVerb() {
    store = inRealTime(DEFAULTS.withDeadline(ENOUGH).withAttempts(1, LONG).withCircuit(1000, LONG));
    store.create(new StoredKeyset(ORDERS, 1, "{}"));
    target.hang = release;
    assertUnavailable(() -> store.replace(new StoredKeyset(ORDERS, 2, "{}")));
    release.countDown();
    await(() -> store.health().attemptsOverdue() == 0);
    target.hang = null;
    assertEquals(2, store.load(ORDERS).orElseThrow().revision());
    assertThrows(
        KeysetConflictException.class, () -> store.replace(new StoredKeyset(ORDERS, 2, "{}")));
  }

  // --- crowds ---

  @Test
  void callersBeyondTheBound_areTurnedAwayAtOnce() {
    store = inRealTime(DEFAULTS.withDeadline(LONG).withConcurrency(2, 1));
    target.hang = release;
    List<CompletableFuture<?>> three = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      three.add(CompletableFuture.supplyAsync(() -> store.load(ORDERS)));
    }
    await(() -> target.inside.get() == 2 && store.health().callsWaiting() == 1);
    assertUnavailable(() -> store.load(ORDERS));
    assertEquals(1, store.health().refusals());
    release.countDown();
    three.forEach(CompletableFuture::join);
    assertEquals(3, target.calls.get());
  }

  // --- what it is ---

  @Test
  void itTellsWhatWasWritten_ifTheStoreDoes() {
    assertFalse(store instanceof WatchableKeysetStore);
    InMemoryKeysetStore telling = InMemoryKeysetStore.create();
    try (KeysetStore guarded = ResilientKeysetStore.around(telling)) {
      assertInstanceOf(WatchableKeysetStore.class, guarded);
    }
  }

  @Test
  void close_closesTheStoreOnce_andEndsItsUse() {
    store.close();
    store.close();
    assertEquals(1, target.closes.get());
    assertThrows(IllegalStateException.class, () -> store.load(ORDERS));
  }

  @Test
  void toString_showsTheCircuit() {
    assertTrue(store.toString().contains("circuit CLOSED"), store::toString);
  }
}
