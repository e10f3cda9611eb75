package dev.sealwax.kms.keyset;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.keyset.VersionUse.Answer;
import dev.sealwax.kms.vocabulary.KeyStateException;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** Holds, quiet periods and inventories, and what overrides them. */
final class DestructionGuardTest {
  private static final Duration DAY = Duration.ofDays(1);
  private static final Duration WINDOW = Duration.ofDays(30);
  private static final Duration QUIET = Duration.ofDays(10);

  private final Rig rig = new Rig();
  private final Keysets keysets = rig.keysets;

  @AfterEach
  void close() {
    rig.close();
  }

  private void create(KeysetTemplate template) {
    keysets.create("orders", template);
    keysets.rotate("orders");
  }

  private KeyVersion version(int number) {
    return KeysetJson.read(rig.store.stored("orders")).version(number).orElseThrow();
  }

  private KeyStateException assertRefused(Executable verb) {
    long revision = rig.store.stored("orders").revision();
    KeyStateException e = assertThrows(KeyStateException.class, verb);
    assertEquals(revision, rig.store.stored("orders").revision(), "nothing written");
    return e;
  }

  /** Cites KS-27. */
  @Test
  void held_nothingIsScheduledOrDestroyed() {
    create(KeysetTemplate.defaults());
    keysets.publish("orders");
    keysets.scheduleDestruction("orders", 1);
    Keyset held = keysets.placeHold("orders", "case 7");
    assertEquals(
        Optional.of(new LegalHold(rig.time.instant(), "case 7")),
        rig.process().keysets().get("orders").hold());
    rig.time.advance(WINDOW);
    assertTrue(
        assertRefused(() -> keysets.scheduleDestruction("orders", 3))
            .getMessage()
            .contains("case 7"));
    assertRefused(() -> keysets.scheduleDestruction("orders", 3, Duration.ofDays(7)));
    assertRefused(() -> keysets.scheduleDestruction("orders", 3, (k, v) -> Answer.UNUSED));
    assertRefused(() -> keysets.scheduleDestructionDespiteUse("orders", 3, "no way round"));
    assertRefused(() -> keysets.scheduleDestruction("orders"));
    assertRefused(() -> keysets.scheduleDestructionDespiteUse("orders", "no way round"));
    assertRefused(() -> keysets.destroy("orders", 1));
    assertRefused(() -> keysets.destroy("orders", 1, (k, v) -> Answer.UNUSED));
    assertRefused(() -> keysets.destroy("orders"));
    assertRefused(() -> keysets.placeHold("orders", "case 8"));
    assertEquals(List.of(), keysets.due().destroy("orders", null).versions());
    keysets.rotate("orders");
    keysets.disable("orders", 2);
    assertEquals(held.hold(), keysets.get("orders").hold(), "the rest goes on");
    assertTrue(keysets.releaseHold("orders").hold().isEmpty());
    assertRefused(() -> keysets.releaseHold("orders"));
    keysets.destroy("orders", 1);
  }

  /** Cites KS-27. */
  @Test
  void held_wholeScheduledKeyset_isNotDestroyed() {
    create(KeysetTemplate.defaults());
    keysets.scheduleDestruction("orders");
    keysets.placeHold("orders", "case 7");
    rig.time.advance(WINDOW);
    assertRefused(() -> keysets.destroy("orders"));
    keysets.cancelDestruction("orders");
  }

  @Test
  void hold_outcomeUnknownAndOtherWriterWon_isPlacedAllTheSame() {
    create(KeysetTemplate.defaults());
    Keysets other = rig.process().keysets();
    rig.store.beforeWrite =
        ScriptedStore.once(
            () -> {
              other.publish("orders");
              ScriptedStore.fail();
            });
    assertTrue(keysets.placeHold("orders", "case 7").hold().isPresent());
    assertTrue(keysets.get("orders").hold().isPresent());
  }

  @Test
  void reasons_outsideTheirBounds_throw() {
    create(KeysetTemplate.defaults());
    for (String reason : List.of("", "x".repeat(129), "a\nb", "caf\u00e9")) {
      assertThrows(IllegalArgumentException.class, () -> keysets.placeHold("orders", reason));
      assertThrows(
          IllegalArgumentException.class,
          () -> keysets.scheduleDestructionDespiteUse("orders", 1, reason));
      assertThrows(
          IllegalArgumentException.class,
          () -> keysets.scheduleDestructionDespiteUse("orders", reason));
    }
    for (Duration quiet :
        List.of(Duration.ZERO, DAY.multipliedBy(366), DAY.plusHours(1), DAY.negated())) {
      assertThrows(
          IllegalArgumentException.class, () -> KeysetTemplate.defaults().withQuietPeriod(quiet));
    }
  }

  /** What an envelope cipher does when it makes a data key. */
  private void encrypt(OpenKeysets process) {
    OpenKeyset open = process.open(KeysetId.of("orders"));
    Keyset keyset = open.snapshot(0);
    open.meter(keyset, keyset.primary());
    rig.runBackground();
  }

  /** Cites KS-28. */
  @Test
  void dayOfUse_isWrittenOncePerDayByTheFleet() {
    create(KeysetTemplate.defaults().withQuietPeriod(QUIET));
    rig.time.advance(Duration.ofHours(5));
    long revision = rig.store.stored("orders").revision();
    OpenKeysets first = rig.process();
    OpenKeysets second = rig.process();
    for (int i = 0; i < 3; i++) {
      encrypt(first);
      encrypt(second);
    }
    assertEquals(revision + 1, rig.store.stored("orders").revision());
    assertEquals(ManualTime.START, version(2).lastUsedAt().orElseThrow());
    assertTrue(version(1).lastUsedAt().isEmpty());
    rig.time.advance(DAY);
    encrypt(second);
    encrypt(first);
    assertEquals(revision + 2, rig.store.stored("orders").revision());
    assertEquals(ManualTime.START.plus(DAY), version(2).lastUsedAt().orElseThrow());
    assertEquals(0, version(2).messages(), "counts are another policy's");
  }

  @Test
  void dayOfUse_storeFails_isWrittenLaterOrAtClose() {
    create(KeysetTemplate.defaults().withQuietPeriod(QUIET));
    OpenKeysets process = rig.process();
    rig.store.beforeWrite = ScriptedStore::fail;
    encrypt(process);
    assertTrue(version(2).lastUsedAt().isEmpty());
    rig.store.beforeWrite = () -> {};
    process.close();
    assertTrue(version(2).lastUsedAt().isPresent());
  }

  @Test
  void noQuietPeriod_noWrite() {
    create(KeysetTemplate.defaults());
    long revision = rig.store.stored("orders").revision();
    OpenKeysets process = rig.process();
    encrypt(process);
    process.close();
    assertEquals(revision, rig.store.stored("orders").revision());
  }

  /** Cites KS-28. */
  @Test
  void usedLately_isNotScheduledBeforeTheQuietPeriodIsOver() {
    create(KeysetTemplate.defaults().withQuietPeriod(QUIET));
    encrypt(rig.process);
    keysets.rotate("orders");
    rig.time.advance(QUIET.minusSeconds(1));
    assertRefused(() -> keysets.scheduleDestruction("orders", 2));
    assertRefused(() -> keysets.scheduleDestruction("orders"));
    keysets.scheduleDestruction("orders", 1);
    rig.time.advance(Duration.ofSeconds(1));
    keysets.scheduleDestruction("orders", 2);
  }

  /** Cites KS-28. */
  @Test
  void inventory_onlyUnusedMayGo_andIsAskedOnce() {
    create(KeysetTemplate.defaults());
    AtomicReference<Answer> answer = new AtomicReference<>(Answer.IN_USE);
    List<String> asked = new ArrayList<>();
    VersionUse inventory =
        (keyset, version) -> {
          asked.add(keyset + " " + version);
          return answer.get();
        };
    assertRefused(() -> keysets.scheduleDestruction("orders", 1, inventory));
    answer.set(Answer.UNKNOWN);
    assertRefused(() -> keysets.scheduleDestruction("orders", 1, inventory));
    answer.set(Answer.UNUSED);
    Keysets other = rig.process().keysets();
    rig.store.beforeWrite = ScriptedStore.once(() -> other.publish("orders"));
    keysets.scheduleDestruction("orders", 1, inventory);
    assertEquals(List.of("orders 1", "orders 1", "orders 1"), asked, "once for each call");
    rig.time.advance(WINDOW);
    answer.set(Answer.IN_USE);
    assertRefused(() -> keysets.destroy("orders", 1, inventory));
    assertEquals(List.of(), keysets.due().destroy("orders", inventory).versions());
    answer.set(Answer.UNUSED);
    assertEquals(List.of(1), keysets.due().destroy("orders", inventory).versions());
  }

  @Test
  void inventoryThatThrows_endsTheVerb() {
    create(KeysetTemplate.defaults());
    assertThrows(
        UnsupportedOperationException.class,
        () ->
            keysets.scheduleDestruction(
                "orders",
                1,
                (keyset, version) -> {
                  throw new UnsupportedOperationException("scripted");
                }));
    assertEquals(KeyState.ENABLED, version(1).state());
  }

  /** Cites KS-28. */
  @Test
  void override_isKeptWithItsReason() {
    create(KeysetTemplate.defaults().withQuietPeriod(QUIET));
    encrypt(rig.process);
    keysets.rotate("orders");
    keysets.scheduleDestructionDespiteUse("orders", 2, "spilled");
    assertEquals(Optional.of("spilled"), version(2).overrideReason());
    assertTrue(
        keysets.cancelDestruction("orders", 2).version(2).orElseThrow().overrideReason().isEmpty(),
        "the next time needs a reason of its own");
    keysets.scheduleDestructionDespiteUse("orders", 2, "spilled again");
    rig.time.advance(WINDOW);
    keysets.destroy("orders", 2, (keyset, version) -> Answer.IN_USE);
    assertEquals(Optional.of("spilled again"), version(2).overrideReason());
    assertEquals(KeyState.DESTROYED, version(2).state());
  }

  @Test
  void override_ofAWholeKeyset() {
    create(KeysetTemplate.defaults().withQuietPeriod(QUIET));
    encrypt(rig.process);
    assertRefused(() -> keysets.scheduleDestruction("orders"));
    Keyset scheduled = keysets.scheduleDestructionDespiteUse("orders", "tenant left");
    assertFalse(scheduled.versions().stream().anyMatch(v -> v.overrideReason().isEmpty()));
    rig.time.advance(WINDOW);
    assertTrue(keysets.destroy("orders").isDestroyed());
  }

  @Test
  void moveToRootKey_keepsHoldAndOverride() {
    create(KeysetTemplate.defaults().withQuietPeriod(QUIET));
    keysets.scheduleDestructionDespiteUse("orders", 1, "spilled");
    keysets.placeHold("orders", "case 7");
    Keyset moved = keysets.moveToRootKey("orders", new ScriptedRootKey("test:two"));
    assertEquals("case 7", moved.hold().orElseThrow().reason());
    assertEquals("spilled", moved.version(1).orElseThrow().overrideReason().orElseThrow());
    assertEquals(Optional.of(QUIET), moved.quietPeriod());
  }
}
