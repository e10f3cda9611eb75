package dev.sealwax.kms.rootkey;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.THROTTLED;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNAVAILABLE;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.cache.StackDive;
import dev.sealwax.kms.guard.GuardTiming;
import dev.sealwax.kms.testkit.FaultyRootKey;
import dev.sealwax.kms.testkit.FaultyRootKey.Fault;
import dev.sealwax.kms.testkit.ForwardingRootKey;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.GuardHealth;
import dev.sealwax.kms.vocabulary.GuardHealth.Circuit;
import dev.sealwax.kms.vocabulary.GuardPolicy;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.RootKeyException;
import dev.sealwax.kms.vocabulary.RootKeyException.Reason;
import java.security.PublicKey;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(60)
final class ResilientRootKeyTest {
  private static final EncryptionContext CONTEXT = EncryptionContext.of("keyset", "orders");
  private static final byte[] SECRET = {1, 2, 3};
  private static final Duration OPEN_TIME = Duration.ofMillis(500);
  private static final Duration LONG = Duration.ofMinutes(10);
  private static final GuardPolicy DEFAULTS = GuardPolicy.defaults();

  private final FaultyRootKey faulty = FaultyRootKey.around(TestRootKeys.inMemory());
  private final KeyMaterial key = KeyMaterial.copyOf(SECRET);
  private final WrappedKey wrapped = faulty.wrap(key, CONTEXT);

  /** Manual time, in which pauses pass at once, as long as chance allows. */
  private final AtomicLong nanos = new AtomicLong(Long.MAX_VALUE - 5);

  private final List<Long> pausesMillis = Collections.synchronizedList(new ArrayList<>());
  private final GuardTiming manual =
      new GuardTiming(
          nanos::get,
          pause -> {
            pausesMillis.add(TimeUnit.NANOSECONDS.toMillis(pause));
            nanos.addAndGet(pause);
          },
          most -> most);
  private final CountDownLatch release = new CountDownLatch(1);
  private ResilientRootKey resilient = inManualTime(DEFAULTS);

  private ResilientRootKey inManualTime(GuardPolicy policy) {
    return GuardedRootKey.around(faulty, policy, manual);
  }

  private ResilientRootKey inRealTime(GuardPolicy policy) {
    return ResilientRootKey.around(faulty, policy);
  }

  private void pass(Duration time) {
    nanos.addAndGet(time.toNanos());
  }

  @AfterEach
  void close() {
    release.countDown();
    resilient.close();
    key.close();
  }

  private byte[] unwrap() {
    try (KeyMaterial material = resilient.unwrap(wrapped, CONTEXT)) {
      return material.use(byte[]::clone);
    }
  }

  @Test
  void call_whereverTheStackEnds_leavesItsPlaceToTheNext() {
    resilient = inRealTime(DEFAULTS.withConcurrency(1, 10).withDeadline(Duration.ofSeconds(20)));
    for (int i = 0; i < 2; i++) {
      StackDive.atEveryDepth(this::unwrap);
      assertArrayEquals(SECRET, unwrap());
    }
  }

  private CompletableFuture<byte[]> unwrapElsewhere() {
    CompletableFuture<byte[]> result = new CompletableFuture<>();
    Thread thread =
        new Thread(
            () -> {
              try {
                result.complete(unwrap());
              } catch (RuntimeException e) {
                result.completeExceptionally(e);
              }
            });
    thread.setDaemon(true);
    thread.start();
    return result;
  }

  private RootKeyException assertFails(Reason reason) {
    RootKeyException thrown = assertThrows(RootKeyException.class, this::unwrap);
    assertEquals(reason, thrown.reason(), thrown.getMessage());
    return thrown;
  }

  private static Reason reasonOf(CompletableFuture<?> failed) {
    CompletionException thrown = assertThrows(CompletionException.class, failed::join);
    return assertInstanceOf(RootKeyException.class, thrown.getCause()).reason();
  }

  private static void await(BooleanSupplier condition) {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    while (!condition.getAsBoolean()) {
      assertTrue(System.nanoTime() - end < 0, "waited too long");
      Thread.onSpinWait();
    }
  }

  /** Gives a call up once the root key has it. */
  private void leaveBehind(Runnable call) throws InterruptedException {
    Thread caller = new Thread(() -> assertThrows(RootKeyException.class, call::run));
    caller.start();
    await(() -> faulty.underWay() == 1);
    caller.interrupt();
    caller.join();
    assertEquals(1, resilient.health().attemptsOverdue());
  }

  // --- attempts ---

  @Test
  void call_thatSucceeds_isMadeOnce() {
    assertArrayEquals(SECRET, unwrap());
    WrappedKey second = resilient.wrap(key, CONTEXT);
    assertTrue(faulty.unwrap(second, CONTEXT).contentEquals(key));
    assertEquals(faulty.currentKeyId(), resilient.currentKeyId());
    assertEquals(
        new GuardHealth<Reason>(
            Circuit.CLOSED, Duration.ZERO, 0, 0, 0, 2, 2, 0, 0, 0, Optional.empty()),
        resilient.health());
  }

  @Test
  void call_thatFailsForTheMoment_isTriedAgainAfterGrowingPauses() {
    resilient =
        inManualTime(
            DEFAULTS
                .withAttempts(6, LONG)
                .withPauses(Duration.ofMillis(50), Duration.ofMillis(300))
                .withCircuit(1000, OPEN_TIME));
    Fault throttled = Fault.failing(THROTTLED);
    Fault unavailable = Fault.failing(UNAVAILABLE);
    faulty.next(throttled, unavailable, throttled, unavailable, throttled);
    assertArrayEquals(SECRET, unwrap());
    assertEquals(List.of(50L, 100L, 200L, 300L, 300L), pausesMillis);
    assertEquals(6, resilient.health().attempts());
    assertEquals(5, resilient.health().failures());
    assertEquals(Optional.of(THROTTLED), resilient.health().lastFailure());
  }

  @Test
  void pauses_areAsLongAsChanceSays() {
    List<Long> asked = new ArrayList<>();
    resilient =
        GuardedRootKey.around(
            faulty,
            DEFAULTS,
            new GuardTiming(nanos::get, asked::add, most -> most == 50_000_000 ? 0 : 7));
    faulty.next(Fault.failing(THROTTLED), Fault.failing(THROTTLED));
    unwrap();
    assertEquals(List.of(0L, 7L), asked);
  }

  @Test
  void call_thatGoesOnFailing_failsAsItsLastAttempt() {
    faulty.next(Fault.failing(UNAVAILABLE), Fault.failing(UNAVAILABLE), Fault.failing(THROTTLED));
    assertFails(THROTTLED);
    assertEquals(3, faulty.unwraps());
  }

  @Test
  void pause_thatWouldEndAfterTheDeadline_isNotMade() {
    resilient = inManualTime(DEFAULTS.withDeadline(Duration.ofMillis(120)));
    faulty.always(Fault.failing(THROTTLED));
    assertFails(THROTTLED);
    assertEquals(2, faulty.unwraps());
    assertEquals(List.of(50L), pausesMillis);
  }

  @ParameterizedTest
  @EnumSource(
      value = Reason.class,
      names = {"THROTTLED", "UNAVAILABLE"},
      mode = EnumSource.Mode.EXCLUDE)
  void answersThatAreNoOutage_areNeitherRepeatedNorOpenTheCircuit(Reason reason) {
    faulty.always(Fault.failing(reason));
    for (int i = 0; i < 50; i++) {
      assertFails(reason);
    }
    assertEquals(50, faulty.unwraps());
    assertEquals(Circuit.CLOSED, resilient.health().circuit());
    assertEquals(0, resilient.health().failures());
  }

  @Test
  void failuresThatTheSpiDoesNotAllow_passAndLeaveTheCircuitAlone() {
    IllegalStateException odd = new IllegalStateException("odd");
    faulty.always(Fault.throwing(odd));
    for (int i = 0; i < 50; i++) {
      assertSame(odd, assertThrows(IllegalStateException.class, this::unwrap));
    }
    assertEquals(Circuit.CLOSED, resilient.health().circuit());
    assertEquals(50, faulty.unwraps());
  }

  // --- circuit ---

  private void openCircuit() {
    resilient = inManualTime(DEFAULTS.withAttempts(1, LONG).withCircuit(4, OPEN_TIME));
    faulty.always(Fault.failing(UNAVAILABLE));
    assertFails(UNAVAILABLE);
    assertEquals(Circuit.CLOSED, resilient.health().circuit());
    assertFails(UNAVAILABLE);
    assertEquals(Circuit.OPEN, resilient.health().circuit());
  }

  @Test
  void openCircuit_failsCallsWithoutMakingThem() {
    openCircuit();
    int before = faulty.unwraps();
    long fastest = Long.MAX_VALUE;
    for (int i = 0; i < 100; i++) {
      long start = System.nanoTime();
      RootKeyException refused = assertFails(UNAVAILABLE);
      fastest = Math.min(fastest, System.nanoTime() - start);
      assertTrue(refused.getMessage().contains("another 500 ms"), refused.getMessage());
    }
    assertEquals(before, faulty.unwraps());
    assertEquals(100, resilient.health().refusals());
    assertEquals(OPEN_TIME, resilient.health().untilNextAttempt());
    assertTrue(fastest < TimeUnit.MILLISECONDS.toNanos(50), fastest + " ns");
  }

  @Test
  void openCircuit_endsACallThatHasOpenedItWithoutAPause() {
    resilient = inManualTime(DEFAULTS.withAttempts(5, LONG).withCircuit(4, OPEN_TIME));
    faulty.always(Fault.failing(UNAVAILABLE));
    assertFails(UNAVAILABLE);
    assertEquals(2, faulty.unwraps());
    assertEquals(List.of(50L), pausesMillis);
  }

  @Test
  void circuit_afterTheOpenTime_isClosedByTheFirstSuccess() {
    openCircuit();
    int before = faulty.unwraps();
    faulty.always(Fault.NONE);
    pass(OPEN_TIME.minusMillis(1));
    assertFails(UNAVAILABLE);
    assertEquals(before, faulty.unwraps());
    pass(Duration.ofMillis(2));
    assertEquals(Circuit.HALF_OPEN, resilient.health().circuit());
    assertArrayEquals(SECRET, unwrap());
    assertEquals(Circuit.CLOSED, resilient.health().circuit());
  }

  @ParameterizedTest
  @EnumSource(Reason.class)
  void circuit_afterTheOpenTime_isClosedByAnyAnswerAndOpenedByAnotherOutage(Reason reason) {
    openCircuit();
    faulty.always(Fault.failing(reason));
    pass(OPEN_TIME.plusMillis(1));
    int before = faulty.unwraps();
    assertFails(reason);
    assertEquals(before + 1, faulty.unwraps());
    assertEquals(
        reason.isRetryable() ? Circuit.OPEN : Circuit.CLOSED, resilient.health().circuit());
  }

  @Test
  void circuit_byDefault_letsTheFirstCallThroughInLessThanASecond() {
    faulty.always(Fault.failing(UNAVAILABLE));
    while (resilient.health().circuit() != Circuit.OPEN) {
      assertFails(UNAVAILABLE);
    }
    faulty.always(Fault.NONE);
    assertTrue(resilient.health().untilNextAttempt().compareTo(Duration.ofMillis(900)) < 0);
    pass(resilient.health().untilNextAttempt().plusMillis(1));
    assertArrayEquals(SECRET, unwrap());
  }

  @Test
  void circuit_whoseProbeHangs_letsAnotherThroughAfterTheOpenTime() {
    openCircuit();
    faulty.always(Fault.NONE);
    faulty.next(Fault.hangingDeaf(release));
    pass(OPEN_TIME.plusMillis(1));
    CompletableFuture<byte[]> probe = unwrapElsewhere();
    await(() -> faulty.underWay() == 1);
    int before = faulty.unwraps();
    assertFails(UNAVAILABLE);
    assertEquals(before, faulty.unwraps());
    pass(OPEN_TIME);
    assertArrayEquals(SECRET, unwrap());
    assertEquals(Circuit.CLOSED, resilient.health().circuit());
    release.countDown();
    assertArrayEquals(SECRET, probe.join());
    assertEquals(Circuit.CLOSED, resilient.health().circuit());
  }

  @Test
  void circuit_whoseProbeIsInterruptedInTheRootKey_letsNoOtherThroughBeforeItsTimeIsOver()
      throws InterruptedException {
    openCircuit();
    pass(OPEN_TIME.plusMillis(1));
    faulty.always(Fault.hangingDeaf(release));
    leaveBehind(this::unwrap);
    int before = faulty.unwraps();
    assertFails(UNAVAILABLE);
    assertEquals(before, faulty.unwraps());
    faulty.always(Fault.NONE);
    pass(OPEN_TIME);
    assertArrayEquals(SECRET, unwrap());
  }

  @Test
  void circuit_whoseProbeIsInterrupted_stillLetsOneThrough() throws InterruptedException {
    openCircuit();
    faulty.always(Fault.NONE);
    pass(OPEN_TIME.plusMillis(1));
    Thread.currentThread().interrupt();
    assertFails(UNAVAILABLE);
    assertTrue(Thread.interrupted());
    assertArrayEquals(SECRET, unwrap());
  }

  @Test
  void circuit_thatOpensWhileACallWaitsForAThread_endsIt() {
    CountDownLatch failNow = new CountDownLatch(1);
    Fault hang = Fault.hanging(failNow);
    faulty.next(hang.then(Fault.failing(UNAVAILABLE)));
    resilient =
        inRealTime(
            DEFAULTS
                .withAttempts(1, LONG)
                .withDeadline(LONG)
                .withCircuit(1, LONG)
                .withConcurrency(1, 9));
    CompletableFuture<byte[]> failing = unwrapElsewhere();
    await(() -> faulty.underWay() == 1);
    int before = faulty.unwraps();
    CompletableFuture<byte[]> waiting = unwrapElsewhere();
    await(() -> resilient.health().callsWaiting() == 1);
    failNow.countDown();
    assertEquals(UNAVAILABLE, reasonOf(failing));
    assertEquals(UNAVAILABLE, reasonOf(waiting));
    assertEquals(before, faulty.unwraps());
    assertEquals(1, resilient.health().refusals());
  }

  @Test
  void circuit_thatOpensWhileACallWaitsForItsTurn_letsOneTryAndNoOther() {
    CountDownLatch failNow = new CountDownLatch(1);
    CountDownLatch turn = new CountDownLatch(1);
    AtomicInteger sleeping = new AtomicInteger();
    faulty.next(Fault.hanging(failNow).then(Fault.failing(UNAVAILABLE)));
    faulty.always(Fault.hanging(release));
    resilient =
        GuardedRootKey.around(
            faulty,
            DEFAULTS
                .withDeadline(LONG)
                .withAttempts(1, LONG)
                .withCircuit(1, OPEN_TIME)
                .withRate(10),
            new GuardTiming(
                nanos::get,
                pause -> {
                  sleeping.incrementAndGet();
                  turn.await();
                  nanos.addAndGet(pause);
                },
                most -> most));
    CompletableFuture<byte[]> failing = unwrapElsewhere();
    await(() -> faulty.underWay() == 1);
    int before = faulty.unwraps();
    CompletableFuture<byte[]> one = unwrapElsewhere();
    await(() -> sleeping.get() == 1); // it has passed the circuit, which is closed
    failNow.countDown();
    assertEquals(UNAVAILABLE, reasonOf(failing));
    pass(OPEN_TIME.plusMillis(1));
    CompletableFuture<byte[]> other = unwrapElsewhere();
    await(() -> resilient.health().callsWaiting() == 2);
    turn.countDown();
    await(() -> (one.isDone() || other.isDone()) && faulty.underWay() == 1);
    assertEquals(UNAVAILABLE, reasonOf(one.isDone() ? one : other));
    assertEquals(before + 1, faulty.unwraps());
    release.countDown();
    assertArrayEquals(SECRET, (one.isCompletedExceptionally() ? other : one).join());
    assertEquals(Circuit.CLOSED, resilient.health().circuit());
  }

  // --- deadlines ---

  static Stream<Consumer<ResilientRootKeyTest>> hangs() {
    return Stream.of(
        test -> test.faulty.always(Fault.hanging(test.release)),
        test -> test.faulty.always(Fault.hangingDeaf(test.release)));
  }

  @ParameterizedTest
  @MethodSource("hangs")
  void call_ofARootKeyThatHangs_endsAtTheDeadline(Consumer<ResilientRootKeyTest> hang) {
    Duration deadline = Duration.ofMillis(60);
    resilient =
        inRealTime(DEFAULTS.withDeadline(deadline).withAttempts(1, LONG).withCircuit(1000, LONG));
    hang.accept(this);
    long quickest = Long.MAX_VALUE;
    for (int i = 0; i < 10; i++) {
      long start = System.nanoTime();
      assertFails(UNAVAILABLE);
      long took = System.nanoTime() - start;
      assertTrue(took >= deadline.toNanos(), took + " ns");
      quickest = Math.min(quickest, took);
    }
    // The best of ten, so that a busy machine breaks nothing.
    assertTrue(quickest < deadline.plusMillis(50).toNanos(), quickest + " ns");
    // One that no thread had begun before its deadline is none that hung.
    assertTrue(resilient.health().timeouts() > 0);
  }

  @Test
  void call_whoseThreadsAllHang_endsAtTheDeadline() {
    resilient =
        inRealTime(
            DEFAULTS
                .withDeadline(Duration.ofMillis(50))
                .withAttempts(1, LONG)
                .withCircuit(1000, LONG)
                .withConcurrency(2, 5));
    faulty.always(Fault.hangingDeaf(release));
    while (resilient.health().attemptsOverdue() < 2) {
      assertFails(UNAVAILABLE);
    }
    assertFails(UNAVAILABLE);
    assertEquals(2, resilient.health().attempts());
    assertEquals(2, resilient.health().attemptsOverdue());
    release.countDown();
    await(() -> resilient.health().attemptsOverdue() == 0);
    faulty.always(Fault.NONE);
    assertArrayEquals(SECRET, unwrap());
  }

  @Test
  void attempt_thatHangs_isGivenUpInterruptedAndRepeated() {
    resilient = inRealTime(DEFAULTS.withDeadline(LONG).withAttempts(2, Duration.ofMillis(30)));
    faulty.next(Fault.hanging(release));
    assertArrayEquals(SECRET, unwrap());
    assertEquals(1, resilient.health().timeouts());
    await(() -> resilient.health().attemptsOverdue() == 0);
    assertEquals(0, faulty.underWay());
  }

  @Test
  void attempts_thatHang_openTheCircuit() {
    resilient =
        inRealTime(
            DEFAULTS.withDeadline(LONG).withAttempts(1, Duration.ofMillis(5)).withCircuit(4, LONG));
    faulty.always(Fault.hangingDeaf(release));
    assertFails(UNAVAILABLE);
    assertFails(UNAVAILABLE);
    assertEquals(Circuit.OPEN, resilient.health().circuit());
  }

  @Test
  void attempt_cutShortByTheDeadline_saysNothingOfTheRootKey() {
    // Manual time stands still, so that the attempts look cut off in the moment they began.
    resilient =
        inManualTime(
            DEFAULTS.withDeadline(Duration.ofMillis(5)).withAttempts(1, LONG).withCircuit(2, LONG));
    faulty.always(Fault.hangingDeaf(release));
    for (int i = 0; i < 5; i++) {
      assertFails(UNAVAILABLE);
    }
    assertEquals(Circuit.CLOSED, resilient.health().circuit());
  }

  @Test
  void interrupt_endsTheCallAndIsNoFailureOfTheRootKey() throws InterruptedException {
    resilient = inRealTime(DEFAULTS.withDeadline(LONG).withAttempts(3, LONG).withCircuit(1, LONG));
    faulty.next(Fault.hangingDeaf(release));
    AtomicReference<Throwable> thrown = new AtomicReference<>();
    AtomicReference<Boolean> interrupted = new AtomicReference<>();
    Thread caller =
        new Thread(
            () -> {
              thrown.set(assertThrows(RootKeyException.class, this::unwrap));
              interrupted.set(Thread.currentThread().isInterrupted());
            });
    caller.start();
    await(() -> faulty.underWay() == 1);
    caller.interrupt();
    caller.join();
    assertEquals(UNAVAILABLE, ((RootKeyException) thrown.get()).reason());
    assertTrue(interrupted.get());
    assertEquals(Circuit.CLOSED, resilient.health().circuit());
    assertEquals(0, resilient.health().failures());
    assertArrayEquals(SECRET, unwrap());
  }

  // --- secrets ---

  @Test
  void secretThatComesTooLate_isWiped() throws InterruptedException {
    AtomicReference<KeyMaterial> late = new AtomicReference<>();
    RootKey slow =
        new ForwardingRootKey(faulty) {
          @Override
          public KeyMaterial unwrap(WrappedKey asked, EncryptionContext context) {
            KeyMaterial material = super.unwrap(asked, context);
            late.set(material);
            return material;
          }
        };
    faulty.always(Fault.hangingDeaf(release));
    resilient = ResilientRootKey.around(slow, DEFAULTS.withDeadline(LONG).withAttempts(1, LONG));
    leaveBehind(this::unwrap);
    release.countDown();
    await(() -> resilient.health().attemptsOverdue() == 0 && late.get() != null);
    assertTrue(isWiped(late.get()));
  }

  @Test
  void wrap_leftBehind_worksOnACopyThatIsWipedAtItsEnd() throws InterruptedException {
    AtomicReference<KeyMaterial> given = new AtomicReference<>();
    AtomicReference<byte[]> seen = new AtomicReference<>();
    RootKey slow =
        new ForwardingRootKey(faulty) {
          @Override
          public WrappedKey wrap(KeyMaterial material, EncryptionContext context) {
            WrappedKey answer = super.wrap(material, context);
            given.set(material);
            seen.set(material.use(byte[]::clone));
            return answer;
          }
        };
    faulty.always(Fault.hangingDeaf(release));
    resilient = ResilientRootKey.around(slow, DEFAULTS.withDeadline(LONG).withAttempts(1, LONG));
    leaveBehind(() -> resilient.wrap(key, CONTEXT));
    key.close();
    release.countDown();
    await(() -> resilient.health().attemptsOverdue() == 0 && seen.get() != null);
    assertArrayEquals(SECRET, seen.get());
    await(() -> isWiped(given.get()));
  }

  @ParameterizedTest
  @ValueSource(strings = {"answers", "fails", "fails oddly"})
  void wrap_whateverItsEnd_wipesItsCopies(String end) {
    List<KeyMaterial> copies = Collections.synchronizedList(new ArrayList<>());
    RootKey noting =
        new ForwardingRootKey(faulty) {
          @Override
          public WrappedKey wrap(KeyMaterial material, EncryptionContext context) {
            copies.add(material);
            return super.wrap(material, context);
          }
        };
    resilient = GuardedRootKey.around(noting, DEFAULTS.withConcurrency(1, 0), manual);
    switch (end) {
      case "fails" -> {
        faulty.always(Fault.failing(THROTTLED));
        assertThrows(RootKeyException.class, () -> resilient.wrap(key, CONTEXT));
      }
      case "fails oddly" -> {
        faulty.always(Fault.throwing(new IllegalStateException("odd")));
        assertThrows(IllegalStateException.class, () -> resilient.wrap(key, CONTEXT));
      }
      default -> resilient.wrap(key, CONTEXT);
    }
    assertEquals(end.equals("fails") ? 3 : 1, copies.size());
    for (KeyMaterial copy : copies) {
      assertNotSame(key, copy);
      await(() -> isWiped(copy)); // by the thread of the attempt, once it has answered
    }
    assertArrayEquals(SECRET, key.use(byte[]::clone));
  }

  private static boolean isWiped(KeyMaterial material) {
    try {
      material.use(byte[]::clone);
      return false;
    } catch (IllegalStateException e) {
      return true;
    }
  }

  // --- limits ---

  @Test
  void concurrency_isBoundedAndSoAreThoseWhoWait() {
    resilient = inRealTime(DEFAULTS.withDeadline(LONG).withAttempts(1, LONG).withConcurrency(2, 1));
    faulty.always(Fault.hanging(release));
    List<CompletableFuture<byte[]>> calls =
        Stream.generate(this::unwrapElsewhere).limit(3).toList();
    await(() -> faulty.underWay() == 2 && resilient.health().callsWaiting() == 1);
    assertFails(THROTTLED);
    assertEquals(1, resilient.health().refusals());
    release.countDown();
    calls.forEach(call -> assertArrayEquals(SECRET, call.join()));
    assertEquals(2, faulty.mostAtOnce());
  }

  @Test
  void rate_makesCallsWaitForTheirTurn() {
    resilient = inManualTime(DEFAULTS.withRate(10));
    for (int i = 0; i < 4; i++) {
      unwrap();
    }
    assertEquals(List.of(100L, 100L, 100L), pausesMillis);
  }

  @Test
  void rate_thatLeavesNoTurnInTheFirstHalfOfTheTime_refuses() {
    resilient = inManualTime(DEFAULTS.withDeadline(Duration.ofMillis(150)).withRate(10));
    unwrap();
    int before = faulty.unwraps();
    assertFails(THROTTLED);
    assertEquals(before, faulty.unwraps());
    assertEquals(1, resilient.health().refusals());
    pass(Duration.ofMillis(30));
    unwrap(); // the refused one has not taken a turn
    assertEquals(List.of(70L), pausesMillis);
  }

  @Test
  void rate_isKeptByCallsThatHaveWaitedBehindASlowOne() {
    List<Long> begun = Collections.synchronizedList(new ArrayList<>());
    RootKey noting =
        new ForwardingRootKey(faulty) {
          @Override
          public KeyMaterial unwrap(WrappedKey asked, EncryptionContext context) {
            begun.add(nanos.get());
            return super.unwrap(asked, context);
          }
        };
    faulty.next(Fault.hanging(release));
    resilient =
        GuardedRootKey.around(
            noting,
            DEFAULTS.withDeadline(LONG).withAttempts(1, LONG).withConcurrency(1, 9).withRate(10),
            manual);
    List<CompletableFuture<byte[]>> calls = new ArrayList<>();
    for (int i = 0; i < 5; i++) {
      calls.add(unwrapElsewhere());
      int waiting = i;
      await(() -> faulty.underWay() == 1 && resilient.health().callsWaiting() == waiting);
    }
    pass(OPEN_TIME); // long enough for a turn of each
    release.countDown();
    calls.forEach(call -> assertArrayEquals(SECRET, call.join()));
    for (int i = 1; i < begun.size(); i++) {
      long apart = TimeUnit.NANOSECONDS.toMillis(begun.get(i) - begun.get(i - 1));
      assertTrue(apart >= 100, () -> "begun at " + begun);
    }
  }

  @Test
  void rate_thatTheCallersBeforeWillUseUp_refusesAtOnce() {
    faulty.next(Fault.hanging(release));
    resilient =
        inManualTime(
            DEFAULTS
                .withDeadline(Duration.ofSeconds(20))
                .withAttempts(1, LONG)
                .withConcurrency(1, 40)
                .withRate(1));
    List<CompletableFuture<byte[]>> calls =
        Stream.generate(this::unwrapElsewhere).limit(30).toList();
    await(() -> resilient.health().refusals() > 0 && faulty.underWay() == 1);
    release.countDown();
    calls.forEach(call -> call.exceptionally(e -> SECRET).join());
    assertTrue(resilient.health().attempts() >= 10, () -> resilient.health().toString());
    calls.stream()
        .filter(CompletableFuture::isCompletedExceptionally)
        .forEach(call -> assertEquals(THROTTLED, reasonOf(call)));
  }

  @Test
  void callsThatFindEveryThreadHanging_failAtOnce() {
    CountDownLatch release = new CountDownLatch(1);
    Duration time = Duration.ofMillis(200);
    resilient =
        inRealTime(
            DEFAULTS
                .withDeadline(time)
                .withAttempts(1, time)
                .withCircuit(1000, OPEN_TIME) // far from opening
                .withConcurrency(1, 10));
    faulty.always(Fault.hangingDeaf(release));
    assertFails(UNAVAILABLE);
    int before = faulty.unwraps();
    RootKeyException failure = assertThrows(RootKeyException.class, this::unwrap);
    assertTrue(
        String.valueOf(failure.getMessage()).contains("no thread for another"),
        failure::getMessage);
    assertEquals(before, faulty.unwraps());
    assertEquals(1, resilient.health().refusals());
    release.countDown();
  }

  @Test
  void rate_countsAttemptsAndNotCalls() {
    resilient = inManualTime(DEFAULTS.withRate(10).withPauses(OPEN_TIME, OPEN_TIME));
    faulty.next(Fault.failing(THROTTLED));
    unwrap();
    unwrap();
    assertEquals(List.of(500L, 100L), pausesMillis);
  }

  // --- capabilities, life cycle ---

  private static final class SigningDouble extends ForwardingRootKey implements SigningRootKey {
    private final Fault[] faults;
    final AtomicInteger signatures = new AtomicInteger();

    SigningDouble(RootKey target, Fault... faults) {
      super(target);
      this.faults = faults;
    }

    @Override
    public SigningKey signingKey(String name) {
      return new SigningKey() {
        @Override
        public RootKeyId id() {
          return RootKeyId.of("sign:" + name);
        }

        @Override
        public SignatureAlgorithm algorithm() {
          return SignatureAlgorithm.ECDSA_P256_SHA256;
        }

        @Override
        public PublicKey publicKey() {
          throw new UnsupportedOperationException();
        }

        @Override
        public byte[] sign(byte[] message) {
          if (signatures.getAndIncrement() < faults.length) {
            throw new RootKeyException(THROTTLED, "scripted");
          }
          return message.clone();
        }
      };
    }
  }

  @Test
  void signing_isOfferedIfTheRootKeySigns() {
    assertFalse(resilient instanceof SigningRootKey);
    SigningDouble signing = new SigningDouble(faulty, Fault.NONE);
    resilient = GuardedRootKey.around(signing, DEFAULTS, manual);
    SigningKey signer = assertInstanceOf(SigningRootKey.class, resilient).signingKey("one");
    assertEquals(RootKeyId.of("sign:one"), signer.id());
    assertEquals(SignatureAlgorithm.ECDSA_P256_SHA256, signer.algorithm());
    assertArrayEquals(SECRET, signer.sign(SECRET));
    assertEquals(2, signing.signatures.get());
    assertThrows(UnsupportedOperationException.class, signer::publicKey);
    assertArrayEquals(SECRET, unwrap());
    resilient.close();
    assertThrows(IllegalStateException.class, () -> signer.sign(SECRET));
  }

  @Test
  void close_closesTheRootKeyOnce() {
    resilient.close();
    resilient.close();
    assertEquals(1, faulty.closes());
    int before = faulty.unwraps();
    assertThrows(IllegalStateException.class, this::unwrap);
    assertEquals(before, faulty.unwraps());
    assertEquals(Circuit.CLOSED, resilient.health().circuit());
  }

  @Test
  void toString_namesTheKeyAndTheCircuit() {
    assertEquals(
        "ResilientRootKey[" + faulty.currentKeyId() + ", circuit CLOSED]", resilient.toString());
  }
}
