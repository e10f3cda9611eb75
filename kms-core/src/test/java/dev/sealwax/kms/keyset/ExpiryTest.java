package dev.sealwax.kms.keyset;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.vocabulary.KeyStateException;
import dev.sealwax.kms.vocabulary.KeyUnavailableException;
import dev.sealwax.kms.vocabulary.KeyUnavailableException.Reason;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** Versions and keysets that expire, in the process that says so and in others. */
final class ExpiryTest {
  private static final Duration HOUR = Duration.ofHours(1);
  // Within the times to live of all caches.
  private static final Duration SOON = Duration.ofMinutes(4);
  private static final Instant EXPIRY = ManualTime.START.plus(HOUR);
  // More than the time that a refresh in use takes, so that only expiry can stop anything.
  private static final Duration MOMENT = Duration.ofMillis(100);

  private final Rig rig = new Rig();
  private final Keysets keysets = rig.keysets;

  @BeforeEach
  void createOrders() {
    keysets.create("orders", KeysetTemplate.defaults());
    keysets.rotate("orders");
  }

  @AfterEach
  void close() {
    rig.close();
  }

  private static void assertExpired(Executable use) {
    assertEquals(Reason.EXPIRED, assertThrows(KeyUnavailableException.class, use).reason());
  }

  /** Cites KS-29. */
  @Test
  void version_atItsDate_isRefusedWithoutALookIntoTheStore() {
    OpenKeysets other = rig.process();
    OpenKeyset open = rig.open("orders");
    OpenKeyset elsewhere = other.open(KeysetId.of("orders"));
    byte[] first = Rig.wrap(open, 1);
    keysets.setExpiry("orders", 1, EXPIRY);
    Rig.unwrap(elsewhere, 1, first);
    rig.time.advance(HOUR.minus(MOMENT));
    for (OpenKeyset each : List.of(open, elsewhere)) {
      Rig.unwrap(each, 1, first);
      rig.runBackground();
      Rig.unwrap(each, 1, first);
    }
    int loads = rig.store.loads.get();
    rig.time.advance(MOMENT);
    for (OpenKeyset each : List.of(open, elsewhere)) {
      assertExpired(() -> Rig.unwrap(each, 1, first));
      Keyset snapshot = each.snapshot(0);
      for (KeyUse use : KeyUse.values()) {
        assertExpired(() -> snapshot.requireUse(1, use));
        snapshot.requireUse(2, use);
      }
    }
    assertEquals(loads, rig.store.loads.get());
  }

  @Test
  void snapshot_isLookedAtAgainWhenSomethingExpires_orWhenItIsDueBefore() {
    Keyset keyset = keysets.setExpiry("orders", 1, EXPIRY);
    long now = rig.time.getAsLong();
    long expiry = now + HOUR.toNanos();
    for (Duration due : List.of(HOUR.minusNanos(1), HOUR, HOUR.plusNanos(1))) {
      Snapshot snapshot = new Snapshot(keyset, "", null, now, now, now + due.toNanos(), null);
      long again = snapshot.untilExpiry(ManualTime.START, now).refreshNanos();
      assertEquals(Math.min(due.toNanos(), HOUR.toNanos()), again - now);
    }
    Snapshot later = new Snapshot(keyset, "", null, now, now, expiry + 7, null);
    assertEquals(expiry + 7, later.untilExpiry(EXPIRY, expiry).refreshNanos(), "nothing is left");
  }

  /** Cites KS-29. */
  @Test
  void keyset_atItsDate_refusesAllVersions_andTheEarlierDateCounts() {
    keysets.setExpiry("orders", EXPIRY);
    keysets.setExpiry("orders", 1, EXPIRY.plus(HOUR));
    keysets.setExpiry("orders", 2, EXPIRY.minus(HOUR.dividedBy(2)));
    rig.time.advance(HOUR.dividedBy(2));
    Keyset half = keysets.get("orders");
    half.requireUse(1, KeyUse.DECRYPT);
    assertExpired(() -> half.requireUse(2, KeyUse.ENCRYPT));
    rig.time.advance(HOUR.dividedBy(2));
    Keyset whole = rig.process().keysets().get("orders");
    assertExpired(() -> whole.requireUse(1, KeyUse.REENCRYPT));
    assertExpired(() -> whole.requireUse(2, KeyUse.DECRYPT));
  }

  @Test
  void statesThatRefuse_sayTheirOwnReason() {
    keysets.setExpiry("orders", EXPIRY);
    keysets.disable("orders", 1);
    rig.time.advance(HOUR);
    Keyset keyset = keysets.get("orders");
    assertEquals(
        Reason.DISABLED,
        assertThrows(KeyUnavailableException.class, () -> keyset.requireUse(1, KeyUse.DECRYPT))
            .reason());
  }

  @Test
  void storeDown_expiresAllTheSame() {
    byte[] first = Rig.wrap(rig.open("orders"), 1);
    keysets.setExpiry("orders", ManualTime.START.plus(SOON));
    rig.store.beforeLoad = ScriptedStore::fail;
    rig.time.advance(SOON.minus(MOMENT));
    Rig.unwrap(rig.open("orders"), 1, first);
    rig.runBackground();
    Rig.unwrap(rig.open("orders"), 1, first);
    rig.time.advance(MOMENT);
    assertExpired(() -> Rig.unwrap(rig.open("orders"), 1, first));
  }

  @Test
  void expiredKey_isWiped() {
    Rig.wrap(rig.open("orders"), 1);
    Rig.wrap(rig.open("orders"), 2);
    keysets.setExpiry("orders", 1, ManualTime.START.plus(SOON));
    rig.time.advance(SOON.minus(MOMENT));
    Rig.wrap(rig.open("orders"), 1);
    rig.runBackground();
    long kept = rig.process.keyVersionStatistics().entries();
    rig.time.advance(MOMENT);
    rig.open("orders").snapshot(0);
    assertEquals(kept - 1, rig.process.keyVersionStatistics().entries());
  }

  @Test
  void keyThatExpiredBeforeTheFirstRead_isNotKept() {
    keysets.setExpiry("orders", 2, ManualTime.START.plus(SOON));
    rig.time.advance(SOON);
    try (OpenKeysets another = rig.process()) {
      another.open(KeysetId.of("orders")).snapshot(0);
      assertEquals(0, another.keyVersionStatistics().entries());
    }
  }

  /** Cites KS-29. */
  @Test
  void expiredPrimary_isNotReplacedSilently() {
    keysets.setExpiry("orders", 2, EXPIRY);
    rig.time.advance(HOUR);
    Keyset keyset = keysets.get("orders");
    assertEquals(2, keyset.primary());
    assertExpired(() -> keyset.requireUse(keyset.primary(), KeyUse.ENCRYPT));
    keysets.promote("orders", 1);
    assertThrows(KeyStateException.class, () -> keysets.promote("orders", 2));
    assertThrows(KeyStateException.class, () -> keysets.rollback("orders"));
    assertEquals(3, keysets.rotate("orders").primary());
  }

  /** Cites KS-30. */
  @Test
  void dates_areMovedAndRemovedByTheirVerbsOnly() {
    keysets.setExpiry("orders", 1, EXPIRY);
    keysets.setExpiry("orders", EXPIRY);
    long revision = keysets.get("orders").revision();
    assertEquals(revision, keysets.setExpiry("orders", EXPIRY).revision(), "nothing to do");
    keysets.disable("orders", 1);
    keysets.enable("orders", 1);
    keysets.placeHold("orders", "case 7");
    keysets.setRotationPolicy("orders", RotationPolicy.manual());
    Keyset moved = keysets.moveToRootKey("orders", new ScriptedRootKey("test:two"));
    assertEquals(Optional.of(EXPIRY), moved.expiresAt());
    assertEquals(Optional.of(EXPIRY), moved.version(1).orElseThrow().expiresAt());
  }

  /** Cites KS-30. */
  @Test
  void passedDate_movedOrRemoved_opensAgain() {
    keysets.setExpiry("orders", EXPIRY);
    keysets.setExpiry("orders", 1, EXPIRY);
    OpenKeysets other = rig.process();
    other.keysets().get("orders");
    rig.time.advance(HOUR);
    keysets.setExpiry("orders", EXPIRY.plus(HOUR));
    for (Keyset keyset : List.of(keysets.get("orders"), other.keysets().get("orders"))) {
      keyset.requireUse(2, KeyUse.ENCRYPT);
      assertExpired(() -> keyset.requireUse(1, KeyUse.DECRYPT));
    }
    keysets.removeExpiry("orders", 1).requireUse(1, KeyUse.DECRYPT);
    rig.time.advance(HOUR);
    assertExpired(() -> keysets.get("orders").requireUse(1, KeyUse.DECRYPT));
    keysets.removeExpiry("orders").requireUse(1, KeyUse.DECRYPT);
  }

  /** Cites KS-30. */
  @Test
  void dates_thatCannotBe_throw() {
    rig.time.advance(HOUR);
    for (Instant date :
        List.of(
            EXPIRY, EXPIRY.minusSeconds(1), EXPIRY.plusMillis(1500), Instant.MAX, Instant.MIN)) {
      assertThrows(IllegalArgumentException.class, () -> keysets.setExpiry("orders", date));
      assertThrows(IllegalArgumentException.class, () -> keysets.setExpiry("orders", 1, date));
    }
    assertThrows(KeyStateException.class, () -> keysets.setExpiry("orders", 7, EXPIRY.plus(HOUR)));
  }

  @Test
  void clockSetBack_doesNotReviveWhatHasExpired() {
    keysets.setExpiry("orders", 1, EXPIRY);
    rig.time.advance(HOUR);
    assertExpired(() -> keysets.get("orders").requireUse(1, KeyUse.DECRYPT));
    rig.time.step(HOUR.multipliedBy(-2));
    rig.time.advance(Duration.ofSeconds(5));
    rig.open("orders").snapshot(0);
    rig.runBackground();
    assertExpired(() -> rig.open("orders").snapshot(0).requireUse(1, KeyUse.DECRYPT));
  }

  @Test
  void otherClocks_judgeByThemselves() {
    keysets.setExpiry("orders", EXPIRY);
    Keyset behind = rig.process(rig.time.skewed(HOUR.negated())).keysets().get("orders");
    rig.time.advance(HOUR);
    behind.requireUse(2, KeyUse.ENCRYPT);
    assertExpired(
        () ->
            rig.process(rig.time.skewed(HOUR))
                .keysets()
                .get("orders")
                .requireUse(2, KeyUse.ENCRYPT));
  }

  @Test
  void asOf_nothingExpiresInBetween_isTheSameObject() {
    Keyset keyset = keysets.setExpiry("orders", 1, EXPIRY);
    assertSame(keyset, keyset.asOf(EXPIRY.minusSeconds(1)));
    Keyset later = keyset.asOf(EXPIRY);
    assertTrue(later.isExpired(later.version(1).orElseThrow()));
    assertFalse(keyset.isExpired(keyset.version(1).orElseThrow()));
    assertSame(later, later.asOf(Instant.MAX));
    assertSame(later, later.asOf(Instant.MIN));
  }

  @Test
  void setExpiry_outcomeUnknownAndOtherWriterWon_triesAgain() {
    Keysets other = rig.process().keysets();
    rig.store.beforeWrite =
        ScriptedStore.once(
            () -> {
              other.publish("orders");
              ScriptedStore.fail();
            });
    keysets.setExpiry("orders", EXPIRY);
    assertEquals(Optional.of(EXPIRY), keysets.get("orders").expiresAt());
  }

  @Test
  void rotation_isDueBeforeThePrimaryExpires() {
    Instant expiry = ManualTime.START.plus(Duration.ofDays(20));
    keysets.setExpiry("orders", 2, expiry);
    rig.time.advance(Duration.ofDays(19).minusSeconds(1));
    assertEquals(2, keysets.rotateIfDue("orders").versions().size());
    rig.time.advance(Duration.ofSeconds(1));
    assertEquals(3, keysets.rotateIfDue("orders").versions().size());
    rig.time.advance(Duration.ofMinutes(1));
    Keyset rotated = keysets.rotateIfDue("orders");
    assertEquals(3, rotated.primary());
    assertFalse(rotated.isRotationDue(rig.time.instant()));
    keysets.setExpiry("orders", 3, rig.time.instant().plusSeconds(60));
    keysets.setRotationPolicy("orders", RotationPolicy.manual());
    assertFalse(keysets.get("orders").isRotationDue(rig.time.instant()), "manual is manual");
    keysets.setRotationPolicy(
        "orders", RotationPolicy.defaults().withPropagationDelay(Duration.ofDays(7)));
    keysets.setExpiry("orders", 3, rig.time.instant().plus(Duration.ofDays(14)));
    assertTrue(keysets.get("orders").isRotationDue(rig.time.instant()), "two delays before");
  }
}
