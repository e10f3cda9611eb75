package dev.sealwax.kms.keyset;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.rootkey.QuorumRootKey;
import dev.sealwax.kms.rootkey.RootKeyRule;
import dev.sealwax.kms.testkit.FaultyRootKey.Fault;
import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.RootKeyException;
import dev.sealwax.kms.vocabulary.RootKeyException.Reason;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Keysets under two of three root keys. */
final class QuorumKeysetTest extends QuorumKeysetFixture {
  private static final KeysetId ORDERS = KeysetId.of("orders");

  private final ScheduledThreadPoolExecutor executor = new ScheduledThreadPoolExecutor(1);
  private final List<ScheduledChange> told = new ArrayList<>();

  /** One whose looks are made by the test. */
  private KeysetScheduler scheduler(Keysets own, Rig rig) {
    return own.scheduler(rig.time, executor, Duration.ofMinutes(1), told::add, null);
  }

  private List<ScheduledChange.Outcome> outcomes() {
    return told.stream().map(ScheduledChange::outcome).toList();
  }

  @AfterEach
  void stop() {
    executor.shutdownNow();
  }

  @Test
  void keyset_createdUnderOneRootKey_opensUnderEachMemberAfterTheMove() {
    byte[] sealed;
    try (Kms single = open(notClosing(keys.get(0)))) {
      single.keysets().create("orders", KeysetTemplate.defaults());
      sealed = single.envelopeCipher("orders").encrypt(DATA, ROW);
    }
    assertOpens(kms, "orders", sealed); // what a member wrapped by itself
    try (QuorumRootKey target = quorum(0, 1, 2)) {
      keysets.moveToRootKey("orders", target);
    }
    assertOpensAnewUnderEach(List.of(0, 1, 2), "orders", sealed);
    // Another is removed and one is left: local, to HSM, to cloud.
    try (QuorumRootKey target = quorum(1, 2)) {
      keysets.moveToRootKey("orders", target);
    }
    assertOpensAnewUnderEach(List.of(1, 2), "orders", sealed);
    try (Kms removed = open(notClosing(keys.get(0)))) {
      RootKeyException failure =
          assertThrows(RootKeyException.class, () -> assertOpens(removed, "orders", sealed));
      assertEquals(Reason.NOT_FOUND, failure.reason());
    }
    try (Kms last = open(quorum(1, 2))) {
      last.keysets().moveToRootKey("orders", keys.get(2));
      assertOpens(last, "orders", sealed);
    }
    assertOpensAnewUnderEach(List.of(2), "orders", sealed);
  }

  /** Cites KS-32. */
  @Test
  void repairWraps_afterTheFaultEnds_findsEveryoneAndBeforeWritesNothing() {
    keys.get(1).always(Fault.failing(Reason.UNAVAILABLE));
    keysets.create("orders", KeysetTemplate.defaults());
    byte[] sealed = seal("orders");
    keysets.rotate("orders");
    int wraps = keys.get(0).wraps();
    long revision = keysets.get("orders").revision();
    assertEquals(revision, keysets.repairWraps("orders").revision(), "it is still away");
    assertEquals(wraps + 1, keys.get(0).wraps(), "and one wrap was enough to know");
    heal();
    Keyset repaired = keysets.repairWraps("orders");
    assertEquals(revision + 1, repaired.revision());
    repaired.versions().forEach(v -> assertEquals(ids(List.of(0, 1, 2)), v.holdingRootKeyIds()));
    assertEquals(revision + 1, keysets.repairWraps("orders").revision(), "nothing is left to do");
    assertOpensAnewUnderEach(List.of(0, 1, 2), "orders", sealed);
  }

  @Test
  void repairWraps_whileAnotherIsAway_neverMakesItWorse() {
    keys.get(1).always(Fault.failing(Reason.THROTTLED));
    keysets.create("orders", KeysetTemplate.defaults());
    long revision = keysets.rotate("orders").revision();
    heal();
    keys.get(2).always(Fault.failing(Reason.THROTTLED));
    assertEquals(revision, keysets.repairWraps("orders").revision(), "one for the other");
    heal();
    keys.get(2).next(Fault.NONE, Fault.failing(Reason.THROTTLED)); // its second wrap
    Keyset better = keysets.repairWraps("orders");
    assertEquals(revision + 1, better.revision());
    assertEquals(1, better.versions().stream().mapToInt(v -> v.missingRootKeyIds().size()).sum());
    keysets.repairWraps("orders");
    assertFalse(
        keysets.get("orders").versions().stream().anyMatch(v -> !v.missingRootKeyIds().isEmpty()));
  }

  /** Processes move to another quorum one after the other; the old one must not take it back. */
  @Test
  void repairWraps_ofAKeysetThatAnotherQuorumHoldsInPart_doesNothing() {
    keys.get(2).always(Fault.failing(Reason.UNAVAILABLE));
    keysets.create("orders", KeysetTemplate.defaults());
    try (Kms next = open(quorum(0, 1))) {
      long revision = next.keysets().rotate("orders").revision();
      heal();
      assertEquals(revision, keysets.repairWraps("orders").revision());
      assertEquals(revision, next.keysets().repairWraps("orders").revision());
      try (QuorumRootKey target = quorum(0, 1)) {
        next.keysets().moveToRootKey("orders", target);
      }
    }
  }

  /** What nobody can unwrap any more is not to be mended, but may go. */
  @Test
  void scheduler_whoseRepairFails_goesOnDestroying() {
    try (Rig rig = new Rig();
        QuorumRootKey quorum = quorum(0, 1, 2)) {
      Keysets own = rig.process(quorum, CachePolicy.none()).keysets();
      KeysetScheduler scheduler = scheduler(own, rig);
      keys.get(2).always(Fault.failing(Reason.UNAVAILABLE));
      own.create("orders", KeysetTemplate.defaults().withRotationPolicy(RotationPolicy.manual()));
      own.rotate("orders");
      own.scheduleDestruction("orders", 1, Duration.ofDays(7));
      heal();
      keys.get(2).always(Fault.failing(Reason.ACCESS_DENIED));
      keys.get(1).always(Fault.failing(Reason.ACCESS_DENIED));
      for (int look = 0; look < 3; look++) {
        scheduler.look();
      }
      assertEquals(ScheduledChange.Outcome.FAILED, told.get(0).outcome());
      rig.time.advance(Duration.ofDays(8));
      scheduler.look();
      assertTrue(outcomes().contains(ScheduledChange.Outcome.DESTROYED), told.toString());
    }
  }

  /** Whoever has one member only must not repair the keyset to that one. */
  @Test
  void repairWraps_byAMemberAlone_doesNothing() {
    keys.get(1).always(Fault.failing(Reason.UNAVAILABLE));
    long revision = keysets.create("orders", KeysetTemplate.defaults()).revision();
    heal();
    try (Kms alone = open(notClosing(keys.get(0)))) {
      assertEquals(revision, alone.keysets().repairWraps("orders").revision());
    }
    try (Kms others = open(quorum(0, 1))) {
      assertEquals(revision, others.keysets().repairWraps("orders").revision());
    }
  }

  @Test
  void scheduler_afterTheFaultEnds_repairsOnce() {
    try (Rig rig = new Rig();
        QuorumRootKey quorum = quorum(0, 1, 2)) {
      Keysets own = rig.process(quorum, CachePolicy.none()).keysets();
      KeysetScheduler scheduler = scheduler(own, rig);
      keys.get(2).always(Fault.failing(Reason.UNAVAILABLE));
      own.create("orders", KeysetTemplate.defaults());
      int wraps = keys.get(0).wraps();
      for (int look = 0; look < 9; look++) {
        scheduler.look();
      }
      assertEquals(wraps + 3, keys.get(0).wraps(), "less and less often");
      assertEquals(List.of(ScheduledChange.Outcome.MISSED), outcomes());
      heal();
      for (int look = 0; look <= KeysetScheduler.MAX_LOOKS_BETWEEN_REPAIRS + 1; look++) {
        scheduler.look();
      }
      assertEquals(
          List.of(ScheduledChange.Outcome.MISSED, ScheduledChange.Outcome.WRAPS_REPAIRED),
          outcomes());
      assertEquals(
          List.of(),
          KeysetJson.read(rig.store.stored("orders")).versions().get(0).missingRootKeyIds());
    }
  }

  /** Cites KS-31. */
  @Test
  void rootKeyRule_isKeptByEveryVerb() {
    RootKeyRule notTheThird = RootKeyRule.any().forbidding("number=2");
    keysets.create("orders", KeysetTemplate.defaults().withRootKeyRule(notTheThird));
    byte[] sealed = seal("orders");
    keysets.rotate("orders");
    Keyset keyset = keysets.publish("orders");
    assertEquals(notTheThird, keyset.rootKeyRule());
    for (KeyVersion version : keyset.versions()) {
      assertEquals(ids(List.of(0, 1)), version.holdingRootKeyIds());
      assertEquals(List.of(), version.missingRootKeyIds());
    }
    assertEquals(0, keys.get(2).wraps());
    try (QuorumRootKey target = quorum(1, 2)) { // of two, both must wrap
      RootKeyException failure =
          assertThrows(RootKeyException.class, () -> keysets.moveToRootKey("orders", target));
      assertEquals(Reason.UNSUPPORTED, failure.reason());
    }
    try (Kms third = open(notClosing(keys.get(2)))) {
      RootKeyException failure =
          assertThrows(
              RootKeyException.class,
              () ->
                  third
                      .keysets()
                      .create(
                          "new",
                          KeysetTemplate.defaults()
                              .withRootKeyRule(RootKeyRule.any().requiring("zone=eu"))));
      assertEquals(Reason.UNSUPPORTED, failure.reason());
      assertNull(store.stored("new"));
    }
    assertOpensAnewUnderEach(List.of(0, 1), "orders", sealed);
  }

  @Test
  void setRootKeyRule_wrapsEverythingAnewByThoseItAdmits() {
    keysets.create("orders", KeysetTemplate.defaults());
    byte[] sealed = seal("orders");
    long revision = keysets.rotate("orders").revision();
    RootKeyRule rule = RootKeyRule.any().forbidding("number=0");
    Keyset changed = keysets.setRootKeyRule("orders", rule);
    assertEquals(revision + 1, changed.revision());
    changed.versions().forEach(v -> assertEquals(ids(List.of(1, 2)), v.holdingRootKeyIds()));
    assertEquals(
        revision + 2,
        keysets.setRootKeyRule("orders", rule).revision(),
        "tags may have been corrected");
    assertOpensAnewUnderEach(List.of(1, 2), "orders", sealed);
    assertOpens(kms, "orders", sealed);
    RootKeyException failure =
        assertThrows(
            RootKeyException.class,
            () -> keysets.setRootKeyRule("orders", RootKeyRule.any().requiring("number=1")));
    assertEquals(Reason.UNSUPPORTED, failure.reason());
    assertEquals(rule, keysets.get("orders").rootKeyRule());
  }

  /** A running process follows a repair by another one without a decrypt error. */
  @Test
  void repairWraps_byAnotherProcess_isFollowed() {
    keys.get(1).always(Fault.failing(Reason.UNAVAILABLE));
    keysets.create("orders", KeysetTemplate.defaults());
    try (Rig rig = new Rig();
        QuorumRootKey quorum = quorum(0, 1, 2)) {
      rig.store.plant(store.stored("orders"));
      OpenKeysets one = rig.process(quorum, CachePolicy.of(Rig.SOFT, Rig.HARD, 10));
      OpenKeysets two = rig.process(quorum, CachePolicy.of(Rig.SOFT, Rig.HARD, 10));
      long revision = one.keysets().get("orders").revision();
      byte[] wrapped = Rig.wrap(two.open(ORDERS), 1);
      heal();
      assertEquals(revision + 1, one.keysets().repairWraps("orders").revision());
      rig.time.advance(Rig.REFRESH.multipliedBy(2));
      Rig.unwrap(two.open(ORDERS), 1, wrapped);
      rig.runBackground();
      Rig.unwrap(two.open(ORDERS), 1, wrapped);
      assertEquals(revision + 1, two.open(ORDERS).snapshot(1).revision());
    }
  }
}
