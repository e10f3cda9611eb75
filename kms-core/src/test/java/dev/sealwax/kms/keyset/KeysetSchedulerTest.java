package dev.sealwax.kms.keyset;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.keyset.ScheduledChange.Outcome;
import dev.sealwax.kms.vocabulary.KeysetCorruptedException;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Schedulers of several processes over one store; every look is made by the test. */
final class KeysetSchedulerTest {
  private static final Duration MINUTE = Duration.ofMinutes(1);
  private static final Duration DAY = Duration.ofDays(1);

  private final Rig rig = new Rig();
  // Takes looks and never makes one by itself.
  private final ScheduledThreadPoolExecutor executor = new ScheduledThreadPoolExecutor(1);
  private final List<String> told = new ArrayList<>();
  private @Nullable VersionUse inventory;
  private final List<ScheduledChange> changes = new ArrayList<>();

  @AfterEach
  void close() {
    executor.shutdownNow();
    rig.close();
  }

  private KeysetScheduler scheduler(String name, Clock clock) {
    return rig.process(clock)
        .keysets()
        .scheduler(
            rig.time,
            executor,
            MINUTE,
            change -> {
              changes.add(change);
              told.add(name + " " + change.outcome() + " " + change.keyset() + change.version());
            },
            inventory);
  }

  private KeysetScheduler scheduler(String name) {
    return scheduler(name, rig.time);
  }

  private Keyset stored(String name) {
    return KeysetJson.read(rig.store.stored(name));
  }

  private void pass(Duration time, KeysetScheduler... schedulers) {
    rig.time.advance(time);
    for (KeysetScheduler each : schedulers) {
      each.look();
    }
  }

  @Test
  void rotation_dueInOneKeysetOfMany_publishedThenPromoted() {
    for (int i = 0; i < 300; i++) {
      rig.keysets.create("k" + i, KeysetTemplate.defaults());
    }
    rig.time.advance(Duration.ofDays(30));
    rig.keysets.create("young", KeysetTemplate.defaults());
    rig.keysets.setRotationPolicy("k7", RotationPolicy.manual().afterAge(DAY));
    int unwraps = rig.root.unwraps.get();
    KeysetScheduler scheduler = scheduler("a");
    scheduler.look();
    scheduler.look();
    assertEquals(List.of("a PUBLISHED k72"), told);
    assertEquals(unwraps + 1, rig.root.unwraps.get(), "only where something is due");
    pass(MINUTE, scheduler);
    pass(MINUTE, scheduler);
    assertEquals(List.of("a PUBLISHED k72", "a PROMOTED k72"), told);
    assertEquals(2, stored("k7").primary());
    assertEquals(1, stored("k8").revision());
  }

  /** Cites KS-23. */
  @Test
  void severalProcesses_eachStepHappensOnce() {
    rig.keysets.create("orders", KeysetTemplate.defaults());
    KeysetScheduler a = scheduler("a");
    KeysetScheduler b = scheduler("b");
    rig.time.advance(Duration.ofDays(90));
    // b looks in the middle of every write of a
    AtomicInteger depth = new AtomicInteger();
    rig.store.beforeWrite =
        () -> {
          if (depth.getAndIncrement() == 0) {
            b.look();
          }
        };
    a.look();
    depth.set(0);
    pass(MINUTE, a);
    assertEquals(List.of("b PUBLISHED orders2", "b PROMOTED orders2"), told);
    assertEquals(3, stored("orders").revision());
  }

  /** Cites KS-23. */
  @Test
  void processDiesBetweenTheSteps_anotherGoesOn() {
    rig.keysets.create("orders", KeysetTemplate.defaults());
    pass(Duration.ofDays(90), scheduler("dies"));
    KeysetScheduler heir = scheduler("heir");
    pass(MINUTE.minusSeconds(1), heir);
    pass(Duration.ofSeconds(1), heir);
    assertEquals(List.of("dies PUBLISHED orders2", "heir PROMOTED orders2"), told);
    assertEquals(2, stored("orders").versions().size());
  }

  @Test
  void destruction_dueVersion_isCarriedOut() {
    rig.keysets.create("orders", KeysetTemplate.defaults());
    rig.keysets.rotate("orders");
    rig.keysets.scheduleDestruction("orders", 1, Duration.ofDays(7));
    KeysetScheduler a = scheduler("a");
    KeysetScheduler b = scheduler("b");
    pass(Duration.ofDays(7).minusSeconds(1), a, b);
    assertEquals(List.of(), told);
    pass(Duration.ofSeconds(1), a, b);
    assertEquals(List.of("a DESTROYED orders1"), told);
    assertEquals(KeyState.DESTROYED, stored("orders").version(1).orElseThrow().state());
  }

  /** Cites KS-27, KS-28. */
  @Test
  void destruction_heldOrInUse_waits() {
    for (String name : List.of("held", "used")) {
      rig.keysets.create(name, KeysetTemplate.defaults());
      rig.keysets.rotate(name);
      rig.keysets.scheduleDestruction(name, 1);
    }
    rig.keysets.placeHold("held", "case 7");
    inventory = (keyset, version) -> VersionUse.Answer.IN_USE;
    KeysetScheduler careful = scheduler("careful");
    rig.time.advance(Duration.ofDays(30));
    for (int i = 0; i < 10; i++) {
      pass(MINUTE, careful);
    }
    assertEquals(List.of("careful MISSED used0"), told, "a hold is no accident");
    rig.keysets.releaseHold("held");
    inventory = (keyset, version) -> VersionUse.Answer.UNUSED;
    KeysetScheduler sure = scheduler("sure");
    sure.look();
    assertEquals(
        List.of("careful MISSED used0", "sure DESTROYED held1", "sure DESTROYED used1"), told);
  }

  @Test
  void destruction_wholeKeyset_withItsPrimary() {
    rig.keysets.create("orders", KeysetTemplate.defaults());
    rig.keysets.rotate("orders");
    rig.keysets.scheduleDestruction("orders");
    KeysetScheduler a = scheduler("a");
    pass(Duration.ofDays(30), a, a);
    assertEquals(List.of("a DESTROYED orders1", "a DESTROYED orders2"), told);
    assertTrue(stored("orders").isDestroyed());
  }

  @Test
  void destruction_primaryWithoutTheOthers_isMissedNotDone() {
    rig.keysets.create("orders", KeysetTemplate.defaults());
    rig.keysets.rotate("orders");
    rig.keysets.scheduleDestruction("orders");
    rig.keysets.cancelDestruction("orders", 1);
    KeysetScheduler a = scheduler("a");
    for (int i = 0; i < 20; i++) {
      pass(i == 0 ? Duration.ofDays(30) : MINUTE, a);
    }
    assertEquals(List.of("a MISSED orders0"), told, "told once");
    assertEquals(KeyState.DESTRUCTION_SCHEDULED, stored("orders").version(2).orElseThrow().state());
  }

  @Test
  void primarySwitchedOff_isMissedNotRotated() {
    rig.keysets.create("orders", KeysetTemplate.defaults());
    rig.keysets.disable("orders", 1);
    KeysetScheduler a = scheduler("a");
    for (int i = 0; i < 10; i++) {
      pass(i == 0 ? Duration.ofDays(90) : MINUTE, a);
    }
    assertEquals(List.of("a MISSED orders0"), told);
    assertEquals(2, stored("orders").revision());
  }

  /** Cites KS-26. */
  @Test
  void clockSteppedForward_rotatesOnceAndDestroysNothing() {
    rig.keysets.create("orders", KeysetTemplate.defaults());
    rig.keysets.rotate("orders");
    rig.keysets.scheduleDestruction("orders", 1);
    KeysetScheduler a = scheduler("a");
    a.look();
    rig.time.step(Duration.ofDays(100));
    for (int i = 0; i < 5; i++) {
      pass(MINUTE, a);
    }
    assertEquals(List.of("a PUBLISHED orders3", "a PROMOTED orders3"), told.subList(0, 2));
    assertFalse(told.contains("a DESTROYED orders1"));
    rig.time.step(Duration.ofDays(-100));
    for (int i = 0; i < 5; i++) {
      pass(MINUTE, a);
    }
    rig.time.step(Duration.ofDays(100));
    for (int i = 0; i < 5; i++) {
      pass(MINUTE, a);
    }
    assertEquals(3, stored("orders").versions().size(), "no rotation for a step");
    assertEquals(KeyState.DESTRUCTION_SCHEDULED, stored("orders").version(1).orElseThrow().state());
    pass(DAY, a);
    pass(MINUTE, a);
    assertEquals(
        KeyState.DESTROYED,
        stored("orders").version(1).orElseThrow().state(),
        "a clock that stays is believed in the end");
  }

  /** Cites KS-22, KS-26. */
  @Test
  void clockSteppedBack_doesNothingUntilItIsThereAgain() {
    rig.keysets.create("orders", KeysetTemplate.defaults());
    KeysetScheduler a = scheduler("a");
    pass(Duration.ofDays(90), a);
    pass(MINUTE, a);
    rig.time.step(Duration.ofDays(-200));
    for (int i = 0; i < 10; i++) {
      pass(DAY, a);
    }
    assertEquals(List.of("a PUBLISHED orders2", "a PROMOTED orders2"), told);
    assertEquals(2, stored("orders").versions().size());
  }

  @Test
  void skewedClocks_rotateAtTheUsualPace() {
    rig.keysets.create("orders", KeysetTemplate.defaults());
    KeysetScheduler ahead = scheduler("ahead", rig.time.skewed(Duration.ofDays(10)));
    KeysetScheduler behind = scheduler("behind", rig.time.skewed(Duration.ofDays(-10)));
    for (int day = 0; day < 271; day++) {
      pass(DAY, behind, ahead);
      pass(MINUTE, ahead, behind);
    }
    // 80 days after the creation, then every 90 days by the clock that is ahead.
    int expected = 1 + 1 + (271 - 80) / 90;
    assertEquals(expected, stored("orders").primary());
    assertEquals(expected, stored("orders").versions().size());
  }

  @Test
  void oneBrokenKeyset_othersAreServed_andItIsTriedLessOften() {
    for (String name : List.of("a", "b", "c")) {
      rig.keysets.create(name, KeysetTemplate.defaults());
    }
    rig.store.edit("b", document -> document.replace("\"primary\":1", "\"primary\":2"));
    KeysetScheduler s = scheduler("s");
    for (int i = 0; i < 200; i++) {
      pass(i == 0 ? Duration.ofDays(90) : MINUTE, s);
    }
    long failed = told.stream().filter("s FAILED b0"::equals).count();
    assertEquals(9, failed, "1, 2, 4 and so on, at most 64 looks are left out");
    assertEquals(1, told.stream().filter("s MISSED b0"::equals).count());
    assertTrue(
        told.containsAll(
            List.of("s PUBLISHED a2", "s PROMOTED a2", "s PUBLISHED c2", "s PROMOTED c2")));
    assertInstanceOf(
        KeysetCorruptedException.class,
        changes.stream()
            .filter(change -> change.outcome() == Outcome.FAILED)
            .findFirst()
            .orElseThrow()
            .failure());
  }

  /** Documents that look due and are not authentic are looked at closer, and refused. */
  @Test
  void forgedDueDate_isNotBelieved() {
    rig.keysets.create("orders", KeysetTemplate.defaults());
    rig.store.edit(
        "orders", d -> d.replace("\"rotateAfterSeconds\":7776000", "\"rotateAfterSeconds\":86400"));
    pass(DAY, scheduler("a"));
    assertEquals(List.of("a FAILED orders0"), told);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
  void storeFailsAtAnyCall_rotatesExactlyOnceInTheEnd(int failing) {
    rig.keysets.create("orders", KeysetTemplate.defaults());
    KeysetScheduler a = scheduler("a");
    AtomicInteger calls = new AtomicInteger();
    Runnable fault =
        () -> {
          if (calls.incrementAndGet() == failing) {
            ScriptedStore.fail();
          }
        };
    rig.store.beforeLoad = fault;
    rig.store.beforeList = fault;
    rig.store.beforeWrite = fault;
    rig.store.afterWrite = fault;
    for (int i = 0; i < 10; i++) {
      pass(i == 0 ? Duration.ofDays(90) : MINUTE, a);
    }
    assertTrue(calls.get() >= failing);
    assertEquals(2, stored("orders").primary());
    assertEquals(2, stored("orders").versions().size());
    assertEquals(3, stored("orders").revision());
  }

  @Test
  void rootKeyFails_isReportedAndTriedAgain() {
    rig.keysets.create("orders", KeysetTemplate.defaults());
    KeysetScheduler a = scheduler("a");
    rig.root.beforeUnwrap = ScriptedRootKey::fail;
    pass(Duration.ofDays(90), a);
    rig.root.beforeUnwrap = () -> {};
    pass(MINUTE, a, a);
    pass(MINUTE, a);
    assertEquals(List.of("a FAILED orders0", "a PUBLISHED orders2", "a PROMOTED orders2"), told);
  }

  @Test
  void listenerThatThrows_isIgnored() {
    rig.keysets.create("a", KeysetTemplate.defaults());
    rig.keysets.create("b", KeysetTemplate.defaults());
    rig.time.advance(Duration.ofDays(90));
    rig.process()
        .keysets()
        .scheduler(
            rig.time,
            executor,
            MINUTE,
            change -> {
              throw new IllegalArgumentException("from the listener");
            },
            null)
        .look();
    assertEquals(2, stored("a").versions().size());
    assertEquals(2, stored("b").versions().size());
  }

  @Test
  void start_looksByItselfUntilClosed() throws Exception {
    rig.keysets.create("orders", KeysetTemplate.defaults());
    rig.time.advance(Duration.ofDays(90));
    KeysetScheduler scheduler =
        rig.process.startScheduler(executor, Duration.ofSeconds(1), changes::add, null);
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    while (stored("orders").versions().size() < 2 && System.nanoTime() < deadline) {
      Thread.sleep(20);
    }
    assertEquals(2, stored("orders").versions().size());
    rig.store.beforeList = ScriptedStore::fail;
    int lists = rig.store.lists.get();
    while (rig.store.lists.get() < lists + 2 && System.nanoTime() < deadline) {
      Thread.sleep(20);
    }
    assertTrue(rig.store.lists.get() >= lists + 2, "a failed look is followed by another");
    scheduler.close();
    scheduler.close();
    executor.shutdown();
    assertTrue(executor.awaitTermination(10, TimeUnit.SECONDS), "nothing is left in the executor");
  }

  @Test
  void interval_outsideItsBounds_throws() {
    for (Duration interval :
        List.of(Duration.ZERO, Duration.ofMillis(1500), DAY.plusSeconds(1), DAY.negated())) {
      assertThrows(
          IllegalArgumentException.class,
          () -> rig.process.startScheduler(executor, interval, change -> {}, null));
    }
  }

  @Test
  void closedKeysets_endTheLookWithoutAWord() {
    rig.keysets.create("orders", KeysetTemplate.defaults());
    OpenKeysets process = rig.process();
    KeysetScheduler scheduler =
        process.keysets().scheduler(rig.time, executor, MINUTE, changes::add, null);
    rig.time.advance(Duration.ofDays(90));
    rig.store.beforeLoad =
        () -> {
          scheduler.close();
          throw new KeysetStoreException(KeysetStoreException.Reason.UNAVAILABLE, "closing", null);
        };
    scheduler.look();
    assertEquals(List.of(), changes);
  }
}
