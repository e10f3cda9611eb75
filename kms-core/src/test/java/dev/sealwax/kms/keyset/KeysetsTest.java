package dev.sealwax.kms.keyset;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.cache.TestTimer;
import dev.sealwax.kms.rootkey.RoutingRootKey;
import dev.sealwax.kms.store.StoredKeyset;
import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.KeyStateException;
import dev.sealwax.kms.vocabulary.KeyUnavailableException;
import dev.sealwax.kms.vocabulary.KeysetConflictException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import dev.sealwax.kms.vocabulary.KmsEvent;
import dev.sealwax.kms.vocabulary.KmsEvent.Change;
import dev.sealwax.kms.vocabulary.KmsEvent.Operation;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BiFunction;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

final class KeysetsTest {
  private static final Duration WINDOW = Duration.ofDays(30);

  private final Rig rig = new Rig();
  private final Keysets keysets = rig.keysets;

  @BeforeEach
  void createOrders() {
    keysets.create("orders", KeysetTemplate.defaults());
  }

  @AfterEach
  void close() {
    rig.close();
  }

  @Test
  void create_template_isKept() {
    RotationPolicy policy =
        RotationPolicy.manual()
            .afterAge(Duration.ofDays(7))
            .afterMessages(1L << 32)
            .afterBytes(RotationPolicy.MAX_COUNT)
            .withPropagationDelay(Duration.ofMinutes(5));
    Keyset made =
        keysets.create(
            "logs",
            KeysetTemplate.defaults()
                .withOwner("team \"a\\b\"")
                .withRotationPolicy(policy)
                .withDestructionWindow(Duration.ofDays(10)));
    Keyset read = rig.process().keysets().get("logs");
    for (Keyset keyset : List.of(made, read)) {
      assertEquals(1, keyset.revision());
      assertEquals(1, keyset.primary());
      assertEquals(Optional.of("team \"a\\b\""), keyset.owner());
      assertEquals(policy, keyset.rotationPolicy());
      assertEquals(Duration.ofDays(10), keyset.destructionWindow());
      assertEquals(ManualTime.START, keyset.createdAt());
      assertEquals(KeyState.ENABLED, keyset.versions().get(0).state());
      assertEquals(rig.root.currentKeyId(), keyset.versions().get(0).rootKeyId().orElseThrow());
    }
    assertEquals(made.versions(), read.versions());
  }

  @Test
  void create_nameTaken_throwsWithoutRootCall() {
    int wraps = rig.root.wraps.get();
    assertSays(
        "the name is taken; get it",
        assertThrows(
            KeysetConflictException.class,
            () -> keysets.create("orders", KeysetTemplate.defaults())));
    assertEquals(wraps, rig.root.wraps.get());
  }

  @Test
  void create_impossibleName_throws() {
    assertThrows(
        IllegalArgumentException.class,
        () -> keysets.create("../orders", KeysetTemplate.defaults()));
  }

  @Test
  void create_twoAtOnce_oneWins() {
    Keysets other = rig.process().keysets();
    rig.store.beforeWrite =
        ScriptedStore.once(
            () -> other.create("logs", KeysetTemplate.defaults().withOwner("other")));
    assertThrows(
        KeysetConflictException.class, () -> keysets.create("logs", KeysetTemplate.defaults()));
    assertEquals(Optional.of("other"), keysets.get("logs").owner());
  }

  @Test
  void get_noSuchKeyset_saysNotFound() {
    KeysetStoreException e = assertThrows(KeysetStoreException.class, () -> keysets.get("nothing"));
    assertEquals(KeysetStoreException.Reason.NOT_FOUND, e.reason());
    assertSays("restore it if it was there before, else create it", e);
  }

  @Test
  void rotate_enabledPrimary_newPrimaryAndOneRootWrap() {
    byte[] old = Rig.wrap(rig.open("orders"), 1);
    int unwraps = rig.root.unwraps.get();
    Keyset rotated = keysets.rotate("orders");
    assertEquals(2, rotated.primary());
    assertEquals(2, rotated.revision());
    assertEquals(KeyState.ENABLED, rotated.version(1).orElseThrow().state());
    assertEquals(2, rig.process.rootWraps());
    assertEquals(2, rig.root.wraps.get());
    assertArrayEquals(new byte[32], Rig.unwrap(rig.open("orders"), 1, old));
    Rig.wrap(rig.open("orders"), 2);
    assertEquals(unwraps, rig.root.unwraps.get(), "what this process made it need not unwrap");
  }

  @Test
  void rotate_newKey_differsFromTheOldOne() {
    byte[] first = Rig.wrap(rig.open("orders"), 1);
    keysets.rotate("orders");
    assertFalse(java.util.Arrays.equals(first, Rig.wrap(rig.open("orders"), 2)));
  }

  /** Cites KS-22. */
  @Test
  void rotateIfDue_ageReached_publishesThenPromotesAfterTheDelay() {
    rig.time.advance(Duration.ofDays(90).minusSeconds(1));
    assertEquals(1, keysets.rotateIfDue("orders").revision());
    rig.time.advance(Duration.ofSeconds(1));
    assertTrue(keysets.get("orders").isRotationDue(rig.time.instant()));

    Keyset published = keysets.rotateIfDue("orders");
    assertEquals(1, published.primary());
    assertEquals(KeyState.PENDING, published.version(2).orElseThrow().state());
    rig.time.advance(Duration.ofSeconds(59));
    assertEquals(2, keysets.rotateIfDue("orders").revision(), "other processes still learn of it");
    rig.time.advance(Duration.ofSeconds(1));
    Keyset rotated = keysets.rotateIfDue("orders");
    assertEquals(2, rotated.primary());
    assertEquals(2, rotated.versions().size());
    assertEquals(rig.time.instant(), rotated.version(2).orElseThrow().primaryAt().orElseThrow());
    assertEquals(3, keysets.rotateIfDue("orders").revision(), "done");
  }

  /** Cites KS-22: the age counts from the promotion, however long ago the version was made. */
  @Test
  void rotateIfDue_versionPublishedLongBefore_isDueByItsTimeAsPrimary() {
    keysets.publish("orders");
    rig.time.advance(Duration.ofDays(89));
    keysets.promote("orders", 2);
    rig.time.advance(Duration.ofDays(89));
    assertEquals(2, keysets.rotateIfDue("orders").versions().size());
    rig.time.advance(Duration.ofDays(1));
    assertEquals(3, keysets.rotateIfDue("orders").versions().size());
  }

  /** Cites KS-23. */
  @Test
  void rotateIfDue_pendingVersionOfAStoppedProcess_isUsed() {
    rig.time.advance(Duration.ofDays(90));
    rig.process().keysets().rotateIfDue("orders"); // and never comes back
    rig.time.advance(Duration.ofMinutes(1));
    Keyset rotated = keysets.rotateIfDue("orders");
    assertEquals(2, rotated.primary());
    assertEquals(2, rotated.versions().size());
  }

  @Test
  void rotateIfDue_publishedByHandAndNotDue_isLeftAlone() {
    keysets.publish("orders");
    rig.time.advance(Duration.ofDays(1));
    assertEquals(1, keysets.rotateIfDue("orders").primary());
  }

  /** Cites KS-23. */
  @Test
  void rotateIfDue_primarySwitchedOff_staysOff() {
    keysets.disable("orders", 1);
    rig.time.advance(Duration.ofDays(365));
    assertEquals(2, keysets.rotateIfDue("orders").revision());
    keysets.enable("orders", 1);
    keysets.compromise("orders", 1);
    assertEquals(4, keysets.rotateIfDue("orders").revision());
  }

  @Test
  void rotateIfDue_manualPolicy_never() {
    Keyset changed = keysets.setRotationPolicy("orders", RotationPolicy.manual());
    assertTrue(changed.rotationDueAt().isEmpty());
    rig.time.advance(Duration.ofDays(3650));
    assertEquals(changed.revision(), keysets.rotateIfDue("orders").revision());
  }

  @Test
  void rotateIfDue_otherProcessFaster_eachStepHappensOnce() {
    rig.time.advance(Duration.ofDays(90));
    Keysets other = rig.process().keysets();
    AtomicInteger once = new AtomicInteger();
    rig.store.beforeWrite =
        () -> {
          if (once.getAndIncrement() == 0) {
            other.rotateIfDue("orders");
          }
        };
    DueChanges.Rotated lost = keysets.due().rotate("orders");
    assertEquals(RotationStep.NONE, lost.step(), "the other has done it");
    assertEquals(2, lost.keyset().versions().size());
    rig.time.advance(Duration.ofMinutes(1));
    once.set(0);
    lost = keysets.due().rotate("orders");
    assertEquals(RotationStep.NONE, lost.step());
    assertEquals(2, lost.keyset().primary());
    assertEquals(3, lost.keyset().revision());
    assertEquals(
        List.of(Change.CREATE, Change.PUBLISH, Change.PROMOTE),
        rig.events.stream().map(KmsEvent::change).filter(c -> c != Change.NONE).toList(),
        "who was too late has nothing to tell");
  }

  @Test
  void rotateIfDue_clockBehind_doesNothing() {
    rig.time.advance(Duration.ofDays(90));
    rig.time.step(Duration.ofDays(-80));
    assertEquals(1, keysets.rotateIfDue("orders").revision());
  }

  @Test
  void setRotationPolicy_keptByEveryLaterRevision() {
    RotationPolicy policy = RotationPolicy.manual().afterAge(Duration.ofDays(7));
    assertEquals(2, keysets.setRotationPolicy("orders", policy).revision());
    assertEquals(2, keysets.setRotationPolicy("orders", policy).revision(), "nothing to do");
    keysets.rotate("orders");
    assertEquals(policy, rig.process().keysets().get("orders").rotationPolicy());
    assertEquals(KeysetTemplate.defaults().owner(), keysets.get("orders").owner());
  }

  @Test
  void setRotationPolicy_outcomeUnknownAndOtherWriterWon_triesAgain() {
    Keysets other = rig.process().keysets();
    rig.store.beforeWrite =
        ScriptedStore.once(
            () -> {
              other.publish("orders");
              ScriptedStore.fail();
            });
    assertEquals(
        RotationPolicy.manual(),
        keysets.setRotationPolicy("orders", RotationPolicy.manual()).rotationPolicy());
    assertEquals(3, rig.store.stored("orders").revision());
  }

  /** Cites KS-24. */
  @Test
  void rollback_previousPrimaryEncryptsAgainAndTheNewerStillOpens() {
    assertThrows(KeyStateException.class, () -> keysets.rollback("orders"), "never rotated");
    keysets.rotate("orders");
    byte[] data = Rig.wrap(rig.open("orders"), 2);
    rig.time.advance(Duration.ofDays(100));
    Keyset back = keysets.rollback("orders");
    assertEquals(1, back.primary());
    assertEquals(2, back.previousPrimary().orElseThrow());
    back.requireUse(2, KeyUse.DECRYPT);
    assertEquals(32, Rig.unwrap(rig.open("orders"), 2, data).length);
    assertFalse(back.isRotationDue(rig.time.instant()), "its age counts anew");
    assertEquals(2, keysets.rollback("orders").primary(), "and forth again");
    List<Instant> dates = new ArrayList<>();
    for (int i = 0; i < 5; i++) {
      keysets.rollback("orders");
      dates.add(keysets.rollback("orders").version(2).orElseThrow().primaryAt().orElseThrow());
    }
    assertEquals(5, dates.stream().distinct().count(), "each promotion has a date of its own");
  }

  /** Cites KS-24. */
  @Test
  void rollback_previousNotEnabled_throws() {
    keysets.rotate("orders");
    keysets.disable("orders", 1);
    KeyStateException e = assertThrows(KeyStateException.class, () -> keysets.rollback("orders"));
    assertEquals(1, e.version());
    keysets.enable("orders", 1);
    assertEquals(1, keysets.rollback("orders").primary());
  }

  @Test
  void rotate_primaryDisabledOrCompromised_opensTheKeysetAgain() {
    keysets.disable("orders", 1);
    assertThrows(
        KeyUnavailableException.class,
        () -> rig.open("orders").snapshot(0).requireUse(1, KeyUse.ENCRYPT));
    assertEquals(2, keysets.rotate("orders").primary());
    keysets.compromise("orders", 2);
    Keyset last = keysets.rotate("orders");
    last.requireUse(last.primary(), KeyUse.ENCRYPT);
  }

  @Test
  void publishThenPromote_pendingOpensAndDoesNotEncrypt() {
    Keyset published = keysets.publish("orders");
    assertEquals(1, published.primary());
    assertEquals(KeyState.PENDING, published.version(2).orElseThrow().state());
    published.requireUse(2, KeyUse.DECRYPT);
    KeyUnavailableException e =
        assertThrows(KeyUnavailableException.class, () -> published.requireUse(2, KeyUse.ENCRYPT));
    assertEquals(KeyUnavailableException.Reason.PENDING, e.reason());
    Keyset promoted = keysets.promote("orders", 2);
    assertEquals(2, promoted.primary());
    assertEquals(KeyState.ENABLED, promoted.version(2).orElseThrow().state());
    assertEquals(1, keysets.promote("orders", 1).primary(), "back to an enabled version");
  }

  private static final Map<KeyState, String> VERBS_OF_A_SECOND_VERSION =
      new TreeMap<>(
          Map.of(
              KeyState.PENDING, "promote disable compromise schedule",
              KeyState.ENABLED, "promote disable compromise schedule",
              KeyState.DISABLED, "enable compromise schedule",
              KeyState.COMPROMISED, "schedule",
              KeyState.DESTRUCTION_SCHEDULED, "cancel destroy",
              KeyState.DESTROYED, ""));

  @Test
  void verbs_everyStateOfANonPrimary_onlyThoseOfTheTable() {
    Map<String, BiFunction<Keysets, String, Keyset>> verbs = new TreeMap<>();
    verbs.put("promote", (k, name) -> k.promote(name, 2));
    verbs.put("disable", (k, name) -> k.disable(name, 2));
    verbs.put("enable", (k, name) -> k.enable(name, 2));
    verbs.put("compromise", (k, name) -> k.compromise(name, 2));
    verbs.put("schedule", (k, name) -> k.scheduleDestruction(name, 2));
    verbs.put("cancel", (k, name) -> k.cancelDestruction(name, 2));
    verbs.put("destroy", (k, name) -> k.destroy(name, 2));
    VERBS_OF_A_SECOND_VERSION.forEach(
        (state, allowed) ->
            verbs.forEach(
                (verb, call) -> {
                  String name = state.name().toLowerCase(java.util.Locale.ROOT) + "." + verb;
                  keysetWithSecondVersionIn(state, name);
                  long revision = keysets.get(name).revision();
                  if (List.of(allowed.split(" ")).contains(verb)) {
                    assertEquals(revision + 1, call.apply(keysets, name).revision(), name);
                  } else {
                    KeyStateException e =
                        assertThrows(
                            KeyStateException.class, () -> call.apply(keysets, name), name);
                    assertEquals(2, e.version());
                    assertEquals(revision, keysets.get(name).revision(), name);
                  }
                }));
  }

  private void keysetWithSecondVersionIn(KeyState state, String name) {
    keysets.create(name, KeysetTemplate.defaults());
    keysets.publish(name);
    switch (state) {
      case PENDING -> {}
      case ENABLED -> {
        keysets.promote(name, 2);
        keysets.promote(name, 1);
      }
      case DISABLED -> keysets.disable(name, 2);
      case COMPROMISED -> keysets.compromise(name, 2);
      case DESTRUCTION_SCHEDULED -> {
        keysets.scheduleDestruction(name, 2);
        rig.time.advance(WINDOW);
      }
      case DESTROYED -> {
        keysets.scheduleDestruction(name, 2);
        rig.time.advance(WINDOW);
        keysets.destroy(name, 2);
      }
    }
    assertEquals(state, keysets.get(name).version(2).orElseThrow().state());
  }

  @Test
  void verbs_unknownVersion_throw() {
    assertThrows(KeyStateException.class, () -> keysets.disable("orders", 2));
    assertThrows(KeyStateException.class, () -> keysets.disable("orders", 0));
  }

  /** Cites KS-10. */
  @Test
  void destroy_beforeItsDate_throws() {
    keysets.rotate("orders");
    Keyset scheduled = keysets.scheduleDestruction("orders", 1, Duration.ofDays(7));
    assertEquals(
        ManualTime.START.plus(Duration.ofDays(7)),
        scheduled.version(1).orElseThrow().destroyAt().orElseThrow());
    rig.time.advance(Duration.ofDays(7).minusSeconds(1));
    assertThrows(KeyStateException.class, () -> keysets.destroy("orders", 1));
    rig.time.advance(Duration.ofSeconds(1));
    KeyVersion destroyed = keysets.destroy("orders", 1).version(1).orElseThrow();
    assertEquals(KeyState.DESTROYED, destroyed.state());
    assertTrue(destroyed.rootKeyId().isEmpty());
    assertEquals(rig.time.instant(), destroyed.destroyedAt().orElseThrow());
    assertFalse(
        rig.store.stored("orders").document().contains("\"state\":\"DESTROYED\",\"wrapped\":\""));
  }

  /** Cites KS-12. */
  @Test
  void destroy_version_deletesItsWrappedKeyFromTheDocument() {
    keysets.rotate("orders");
    String wrapped = KeysetDocumentTest.wrappedOf(rig.store.stored("orders").document(), 1);
    assertTrue(rig.store.stored("orders").document().contains(wrapped));
    keysets.scheduleDestruction("orders", 1);
    rig.time.advance(WINDOW);
    keysets.destroy("orders", 1);
    assertFalse(rig.store.stored("orders").document().contains(wrapped));
  }

  @Test
  void scheduleDestruction_windowOutsideItsBounds_throws() {
    keysets.rotate("orders");
    for (Duration window :
        List.of(
            Duration.ofDays(7).minusSeconds(1),
            Duration.ofDays(30).plusSeconds(1),
            Duration.ofDays(8).plusMillis(1))) {
      assertThrows(
          IllegalArgumentException.class, () -> keysets.scheduleDestruction("orders", 1, window));
    }
  }

  /** Cites KS-11. */
  @Test
  void scheduleDestruction_primaryAlone_throws() {
    keysets.rotate("orders");
    assertThrows(KeyStateException.class, () -> keysets.scheduleDestruction("orders", 2));
    keysets.disable("orders", 2);
    assertThrows(KeyStateException.class, () -> keysets.scheduleDestruction("orders", 2));
  }

  /** Cites KS-9. */
  @Test
  void cancelDestruction_restoresDisabledOrCompromised() {
    keysets.rotate("orders");
    keysets.rotate("orders");
    keysets.compromise("orders", 2);
    keysets.scheduleDestruction("orders", 1);
    keysets.scheduleDestruction("orders", 2);
    assertEquals(
        KeyState.DISABLED, keysets.cancelDestruction("orders", 1).version(1).orElseThrow().state());
    assertEquals(
        KeyState.COMPROMISED,
        keysets.cancelDestruction("orders", 2).version(2).orElseThrow().state());
  }

  @Test
  void wholeKeyset_scheduleCancel_primaryIncluded() {
    keysets.rotate("orders");
    keysets.compromise("orders", 1);
    Keyset scheduled = keysets.scheduleDestruction("orders");
    assertTrue(
        scheduled.versions().stream().allMatch(v -> v.state() == KeyState.DESTRUCTION_SCHEDULED));
    assertThrows(KeyStateException.class, () -> keysets.scheduleDestruction("orders"));
    assertThrows(KeyStateException.class, () -> keysets.rotate("orders"));
    assertThrows(KeyStateException.class, () -> keysets.publish("orders"));
    assertThrows(KeyStateException.class, () -> keysets.destroy("orders"), "not due");
    Keyset saved = keysets.cancelDestruction("orders");
    assertEquals(KeyState.COMPROMISED, saved.version(1).orElseThrow().state());
    assertEquals(KeyState.DISABLED, saved.version(2).orElseThrow().state());
    assertThrows(KeyStateException.class, () -> keysets.cancelDestruction("orders"));
    assertThrows(KeyStateException.class, () -> keysets.destroy("orders"), "not scheduled");
  }

  @Test
  void wholeKeyset_destroyed_isATombstoneForGood() {
    OpenKeysets second = rig.process();
    byte[] wrapped = Rig.wrap(rig.open("orders"), 1);
    second.keysets().get("orders");
    keysets.scheduleDestruction("orders");
    rig.time.advance(WINDOW);
    assertTrue(keysets.destroy("orders").isDestroyed());
    assertTrue(second.keysets().get("orders").isDestroyed(), "authenticated by who knew it");
    OpenKeysets third = rig.process();
    assertTrue(third.keysets().get("orders").isDestroyed(), "and accepted by who did not");
    for (OpenKeysets process : List.of(rig.process, second, third)) {
      KeyUnavailableException e =
          assertThrows(
              KeyUnavailableException.class,
              () -> Rig.unwrap(process.open(KeysetId.of("orders")), 1, wrapped));
      assertEquals(KeyUnavailableException.Reason.DESTROYED, e.reason());
      Keysets verbs = process.keysets();
      assertThrows(KeyStateException.class, () -> verbs.rotate("orders"));
      assertThrows(KeyStateException.class, () -> verbs.enable("orders", 1));
      assertThrows(KeyStateException.class, () -> verbs.cancelDestruction("orders"));
      assertThrows(KeyStateException.class, () -> verbs.destroy("orders"));
      assertThrows(
          KeyStateException.class,
          () -> verbs.moveToRootKey("orders", new ScriptedRootKey("test:two")));
      assertThrows(
          KeysetConflictException.class, () -> verbs.create("orders", KeysetTemplate.defaults()));
    }
  }

  @Test
  void destroy_primaryAfterPartialCancel_needsThePrimaryMoved() {
    keysets.rotate("orders");
    keysets.scheduleDestruction("orders");
    keysets.cancelDestruction("orders", 1);
    rig.time.advance(WINDOW);
    assertThrows(KeyStateException.class, () -> keysets.destroy("orders", 2));
    keysets.enable("orders", 1);
    keysets.promote("orders", 1);
    assertEquals(KeyState.DESTROYED, keysets.destroy("orders", 2).version(2).orElseThrow().state());
  }

  @Test
  void list_manyKeysets_lazyAndInOrder() {
    IntStream.range(0, 600)
        .mapToObj(i -> String.format("k%03d", i))
        .forEach(name -> keysets.create(name, KeysetTemplate.defaults()));
    rig.store.lists.set(0);
    assertEquals(List.of("k000", "k001"), keysets.list().limit(2).map(KeysetId::value).toList());
    assertEquals(1, rig.store.lists.get());
    List<String> names = keysets.list().map(KeysetId::value).toList();
    assertEquals(601, names.size());
    assertEquals(names.stream().sorted().toList(), names);
  }

  @Test
  void list_pageExactlyFull_endsWithoutRepeats() {
    IntStream.range(0, 255).forEach(i -> keysets.create("k" + i, KeysetTemplate.defaults()));
    assertEquals(256, keysets.list().distinct().count());
    assertEquals(256, keysets.list().count());
  }

  /** Cites KS-17. */
  @Test
  void rotate_otherWriterFaster_triesAgainOnTheNewerKeyset() {
    Keysets other = rig.process().keysets();
    rig.store.beforeWrite = ScriptedStore.once(() -> other.rotate("orders"));
    Keyset rotated = keysets.rotate("orders");
    assertEquals(3, rotated.primary());
    assertEquals(3, rotated.versions().size());
  }

  @Test
  void disable_otherWriterMadeItImpossible_throws() {
    Keysets other = rig.process().keysets();
    rig.store.beforeWrite = ScriptedStore.once(() -> other.compromise("orders", 1));
    assertThrows(KeyStateException.class, () -> keysets.disable("orders", 1));
    assertEquals(KeyState.COMPROMISED, keysets.get("orders").version(1).orElseThrow().state());
  }

  @Test
  void rotate_conflictForever_givesUp() {
    AtomicInteger writes = new AtomicInteger();
    rig.store.beforeWrite =
        () -> {
          writes.incrementAndGet();
          throw new KeysetConflictException(KeysetId.of("orders"), "scripted");
        };
    assertThrows(KeysetConflictException.class, () -> keysets.rotate("orders"));
    assertEquals(KeysetWriter.MAX_ATTEMPTS, writes.get());
  }

  @Test
  void rotate_fourWritersAtOnce_noneIsLost() throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(4);
    try {
      List<Future<Integer>> done =
          IntStream.range(0, 4)
              .mapToObj(
                  i -> {
                    Keysets verbs = rig.process().keysets();
                    return threads.submit(() -> IntStream.range(0, 10).map(n -> one(verbs)).sum());
                  })
              .toList();
      for (Future<Integer> each : done) {
        assertEquals(10, each.get(60, TimeUnit.SECONDS));
      }
    } finally {
      threads.shutdownNow();
    }
    assertEquals(41, keysets.get("orders").versions().size());
    assertEquals(41, keysets.get("orders").revision());
  }

  private static int one(Keysets verbs) {
    verbs.rotate("orders");
    return 1;
  }

  /** Cites KS-18. */
  @Test
  void rotate_outcomeUnknownButWritten_isNotDoneTwice() {
    rig.store.afterWrite = ScriptedStore::fail;
    Keyset rotated = keysets.rotate("orders");
    assertEquals(2, rotated.versions().size());
    assertEquals(2, rig.store.stored("orders").revision());
    assertEquals(2, rig.open("orders").snapshot(0).primary());
  }

  @Test
  void rotate_outcomeUnknownWrittenAndOvertaken_isNotDoneTwice() {
    Keysets other = rig.process().keysets();
    rig.store.afterWrite =
        ScriptedStore.once(
            () -> {
              other.publish("orders");
              ScriptedStore.fail();
            });
    Keyset now = keysets.rotate("orders");
    assertEquals(3, now.versions().size());
    assertEquals(2, now.primary());
  }

  @Test
  void rotate_outcomeUnknownAndNotWritten_throwsAndWritesNothing() {
    rig.store.beforeWrite = ScriptedStore::fail;
    assertThrows(KeysetStoreException.class, () -> keysets.rotate("orders"));
    assertEquals(1, rig.store.stored("orders").revision());
    assertEquals(1, keysets.get("orders").primary());
  }

  @Test
  void rotate_outcomeUnknownAndOtherWriterWon_triesAgain() {
    Keysets other = rig.process().keysets();
    rig.store.beforeWrite =
        ScriptedStore.once(
            () -> {
              other.publish("orders");
              ScriptedStore.fail();
            });
    Keyset rotated = keysets.rotate("orders");
    assertEquals(3, rotated.primary());
    assertEquals(KeyState.PENDING, rotated.version(2).orElseThrow().state());
  }

  @Test
  void promote_outcomeUnknownAndOtherWriterWon_triesAgain() {
    keysets.rotate("orders");
    Keysets other = rig.process().keysets();
    rig.store.beforeWrite =
        ScriptedStore.once(
            () -> {
              other.publish("orders");
              ScriptedStore.fail();
            });
    assertEquals(1, keysets.promote("orders", 1).primary());
    assertEquals(4, rig.store.stored("orders").revision());
  }

  @Test
  void create_outcomeUnknown_decidedByReload() {
    rig.store.afterWrite = ScriptedStore::fail;
    assertEquals(1, keysets.create("logs", KeysetTemplate.defaults()).revision());
    Rig.wrap(rig.open("logs"), 1);
    rig.store.afterWrite = () -> {};
    rig.store.beforeWrite = ScriptedStore::fail;
    assertThrows(
        KeysetStoreException.class, () -> keysets.create("more", KeysetTemplate.defaults()));
  }

  @Test
  void rotate_rootFails_writesNothing() {
    Rig empty = new Rig();
    try (empty) {
      empty.keysets.create("orders", KeysetTemplate.defaults());
      OpenKeysets cold = empty.process();
      empty.root.beforeUnwrap = ScriptedRootKey::fail;
      RootKeyException e =
          assertThrows(RootKeyException.class, () -> cold.keysets().rotate("orders"));
      assertEquals(RootKeyException.Reason.UNAVAILABLE, e.reason());
      assertEquals(1, empty.store.stored("orders").revision());
    }
  }

  /** Cites KS-19. */
  @Test
  void moveToRootKey_allVersions_openUnderTheTargetOnly() {
    keysets.rotate("orders");
    keysets.rotate("orders");
    keysets.scheduleDestruction("orders", 2);
    rig.time.advance(WINDOW);
    keysets.destroy("orders", 2);
    byte[] data = Rig.wrap(rig.open("orders"), 1);
    ScriptedRootKey target = new ScriptedRootKey("test:two");
    Keyset moved = keysets.moveToRootKey("orders", target);
    assertEquals(target.currentKeyId(), moved.version(1).orElseThrow().rootKeyId().orElseThrow());
    assertEquals(target.currentKeyId(), moved.version(3).orElseThrow().rootKeyId().orElseThrow());
    assertEquals(KeyState.DESTROYED, moved.version(2).orElseThrow().state());
    assertEquals(2, target.wraps.get());

    CachePolicy policy = CachePolicy.of(Rig.SOFT, Rig.HARD, 10);
    OpenKeysets onTarget = rig.process(target, policy);
    assertArrayEquals(new byte[32], Rig.unwrap(onTarget.open(KeysetId.of("orders")), 1, data));
    Rig.wrap(onTarget.open(KeysetId.of("orders")), 3);
    RootKeyException e =
        assertThrows(RootKeyException.class, () -> rig.process().keysets().get("orders"));
    assertEquals(RootKeyException.Reason.NOT_FOUND, e.reason());

    assertArrayEquals(new byte[32], Rig.unwrap(rig.open("orders"), 1, data), "this one goes on");
    assertEquals(5, onTarget.keysets().disable("orders", 1).revision() - 2);
    keysets.get("orders");
    assertThrows(KeyUnavailableException.class, () -> Rig.unwrap(rig.open("orders"), 1, data));
  }

  @Test
  void moveToRootKey_again_doesNothing() {
    ScriptedRootKey target = new ScriptedRootKey("test:two");
    long revision = keysets.moveToRootKey("orders", target).revision();
    assertEquals(revision, keysets.moveToRootKey("orders", target).revision());
    assertEquals(
        revision, rig.process().keysets().moveToRootKey("orders", target).revision(), "cold");
    assertEquals(revision, rig.store.stored("orders").revision());
    assertThrows(
        RootKeyException.class,
        () -> rig.process().keysets().moveToRootKey("orders", new ScriptedRootKey("test:three")));
  }

  @Test
  void moveToRootKey_documentKey_isNew() {
    StoredKeyset before = rig.store.stored("orders");
    ScriptedRootKey target = new ScriptedRootKey("test:two");
    keysets.moveToRootKey("orders", target);
    StoredKeyset after = rig.store.stored("orders");
    // Had the document key stayed, a process that knows the old one could verify the new document
    // without a root call.
    OpenKeysets other = rig.process();
    rig.store.plant(before);
    other.keysets().get("orders");
    rig.store.plant(after);
    assertThrows(RootKeyException.class, () -> other.keysets().get("orders"));
  }

  @Test
  void otherProcess_afterMove_takesTheNewDocumentKeyOver() {
    ScriptedRootKey target = new ScriptedRootKey("test:two");
    RoutingRootKey both = RoutingRootKey.of(target, rig.root);
    OpenKeysets other = rig.process(both, CachePolicy.of(Rig.SOFT, Rig.HARD, 10));
    other.keysets().get("orders");
    keysets.moveToRootKey("orders", target);
    assertEquals(2, other.keysets().get("orders").revision());
    assertEquals(3, other.keysets().rotate("orders").revision());
    assertEquals(3, keysets.get("orders").revision());
  }

  @Test
  void listener_toldOfEverything_andItsFailuresIgnored() {
    rig.events.clear();
    OpenKeysets cold = rig.process();
    cold.keysets().rotate("orders");
    Map<Operation, Long> counts = new TreeMap<>();
    rig.events.forEach(e -> counts.merge(e.operation(), 1L, Long::sum));
    assertEquals(
        Map.of(
            Operation.KEYSET_CHANGE, 1L,
            Operation.KEYSET_LOAD, 2L,
            Operation.ROOT_UNWRAP, 1L,
            Operation.ROOT_WRAP, 1L),
        counts);
    assertTrue(rig.events.stream().allMatch(KmsEvent::isSuccess));
    rig.events.clear();
    assertThrows(KeyStateException.class, () -> keysets.enable("orders", 1));
    assertTrue(
        rig.events.stream()
            .anyMatch(
                e ->
                    e.operation() == Operation.KEYSET_CHANGE
                        && e.failure() instanceof KeyStateException));
    OpenKeysets withBadListener =
        OpenKeysets.open(
            rig.store,
            rig.root,
            CachePolicy.none(),
            Rig.REFRESH,
            rig.time,
            new Background(rig.time, Runnable::run, Runnable::run, task -> {}, TestTimer.SHARED),
            new java.security.SecureRandom(),
            event -> {
              throw new IllegalStateException("listener");
            });
    try (withBadListener) {
      assertEquals(3, withBadListener.keysets().rotate("orders").primary());
    }
  }

  @Test
  void requireUse_fullTable_reasonsFit() {
    keysetWithSecondVersionIn(KeyState.DESTRUCTION_SCHEDULED, "due");
    KeyUnavailableException e =
        assertThrows(
            KeyUnavailableException.class, () -> keysets.get("due").requireUse(2, KeyUse.DECRYPT));
    assertEquals(KeyUnavailableException.Reason.DESTRUCTION_SCHEDULED, e.reason());
    for (KeyState state : KeyState.values()) {
      String name = "use." + state.name().toLowerCase(java.util.Locale.ROOT);
      keysetWithSecondVersionIn(state, name);
      Keyset keyset = keysets.get(name);
      for (KeyUse use : KeyUse.values()) {
        if (state.allows(use)) {
          keyset.requireUse(2, use);
        } else {
          KeyUnavailableException refused =
              assertThrows(KeyUnavailableException.class, () -> keyset.requireUse(2, use));
          assertEquals(state.name(), refused.reason().name());
          assertEquals(2, refused.version());
        }
      }
    }
    KeyUnavailableException unknown =
        assertThrows(
            KeyUnavailableException.class, () -> keysets.get("due").requireUse(3, KeyUse.DECRYPT));
    assertEquals(KeyUnavailableException.Reason.UNKNOWN_VERSION, unknown.reason());
  }

  @Test
  void template_valuesOutsideTheirBounds_throw() {
    KeysetTemplate template = KeysetTemplate.defaults();
    for (String owner : List.of("", "x".repeat(129), "a\nb", "caf\u00e9", "a\u007f")) {
      assertThrows(IllegalArgumentException.class, () -> template.withOwner(owner));
    }
    assertEquals(Optional.of("x".repeat(128)), template.withOwner("x".repeat(128)).owner());
    assertThrows(
        IllegalArgumentException.class, () -> template.withDestructionWindow(Duration.ofDays(31)));
    assertSame(template, KeysetTemplate.defaults());
    assertNotEquals(template, template.withOwner("a"));
  }

  @Test
  void rotate_interruptedWhileBackingOff_givesUpAndKeepsTheFlag() {
    AtomicInteger writes = new AtomicInteger();
    rig.store.beforeWrite =
        () -> {
          writes.incrementAndGet();
          Thread.currentThread().interrupt();
          throw new KeysetConflictException(KeysetId.of("orders"), "scripted");
        };
    assertThrows(KeysetConflictException.class, () -> keysets.rotate("orders"));
    assertTrue(Thread.interrupted());
    assertEquals(1, writes.get());
  }

  @Test
  void create_nameKnownButGoneFromTheStore_throws() {
    rig.store.forget("orders");
    assertSays(
        "gone from the store; restore it",
        assertThrows(
            KeysetConflictException.class,
            () -> keysets.create("orders", KeysetTemplate.defaults())));
    assertSays(
        "gone from the store; restore it from a backup",
        assertThrows(KeysetStoreException.class, () -> keysets.get("orders")));
  }

  @Test
  void create_whileAnotherThreadCreates_losesAndIsToldSo() {
    rig.store.afterLoad =
        ScriptedStore.once(() -> keysets.create("logs", KeysetTemplate.defaults()));
    KeysetConflictException taken =
        assertThrows(
            KeysetConflictException.class, () -> keysets.create("logs", KeysetTemplate.defaults()));
    assertSays("exists", taken); // in the words of the store, and nothing of a lost keyset
  }

  @Test
  void disable_ofThePrimary_warnsThatNothingIsEncrypted() {
    String disabled = Logged.during(() -> keysets.disable("orders", 1));
    assertTrue(disabled.contains("orders: primary 1 is DISABLED, so nothing is encr"), disabled);
    assertTrue(disabled.contains("is primary or this one enabled"), disabled);
    String rotated = Logged.during(() -> keysets.rotate("orders"));
    assertFalse(rotated.contains("nothing is encrypted"), rotated);
    String compromised = Logged.during(() -> keysets.compromise("orders", 2));
    assertTrue(compromised.contains("orders: primary 2 is COMPROMISED"), compromised);
    assertFalse(compromised.contains("or this one enabled"), compromised);
  }

  @Test
  void disable_ofUnknownOutcome_warnsIfItIsFoundInTheStore() {
    rig.store.afterWrite = ScriptedStore::fail;
    String disabled = Logged.during(() -> keysets.disable("orders", 1));
    assertTrue(disabled.contains("orders: primary 1 is DISABLED"), disabled);
    rig.store.afterWrite = () -> {};
    keysets.enable("orders", 1);
    rig.store.beforeWrite = ScriptedStore::fail;
    String failed =
        Logged.during(
            () -> assertThrows(KeysetStoreException.class, () -> keysets.disable("orders", 1)));
    assertFalse(failed.contains("is DISABLED"), failed);
  }

  @Test
  void moveToRootKey_byAProcessThatKeepsTheOldOne_warns() {
    ScriptedRootKey target = new ScriptedRootKey("test:two");
    String moved = Logged.during(() -> keysets.moveToRootKey("orders", target));
    assertTrue(moved.contains("orders is held by test:two, but this process wraps"), moved);
    OpenKeysets onBoth =
        rig.process(RoutingRootKey.of(target, rig.root), CachePolicy.of(Rig.SOFT, Rig.HARD, 10));
    String again = Logged.during(() -> onBoth.keysets().moveToRootKey("orders", target));
    assertFalse(again.contains("but this process wraps"), again);
  }

  private static void assertSays(String words, Exception e) {
    assertTrue(e.getMessage().contains(words), e.getMessage());
  }
}
