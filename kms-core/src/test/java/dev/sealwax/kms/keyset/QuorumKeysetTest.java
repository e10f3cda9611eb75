package dev.sealwax.kms.keyset;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.envelope.EnvelopeInfo;
import dev.sealwax.kms.rootkey.QuorumRootKey;
import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.rootkey.RootKeyId;
import dev.sealwax.kms.rootkey.RootKeyRule;
import dev.sealwax.kms.rootkey.TestRootKeys;
import dev.sealwax.kms.store.StoredKeyset;
import dev.sealwax.kms.testkit.FaultyRootKey;
import dev.sealwax.kms.testkit.FaultyRootKey.Fault;
import dev.sealwax.kms.testkit.ForwardingRootKey;
import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeysetCorruptedException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KmsException;
import dev.sealwax.kms.vocabulary.RootKeyException;
import dev.sealwax.kms.vocabulary.RootKeyException.Reason;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Keysets under two of three root keys. */
final class QuorumKeysetTest {
  private static final EncryptionContext ROW = EncryptionContext.of("row", "1");
  private static final byte[] DATA = {4, 2};
  private static final KeysetId ORDERS = KeysetId.of("orders");
  private static final int REQUIRED = 2;

  private final ScriptedStore store = new ScriptedStore();
  private final List<FaultyRootKey> keys =
      List.of(
          FaultyRootKey.around(TestRootKeys.inMemory()),
          FaultyRootKey.around(TestRootKeys.inMemory()),
          FaultyRootKey.around(TestRootKeys.inMemory()));
  private final Kms kms = open(quorum(0, 1, 2));
  private final Keysets keysets = kms.keysets();
  private final Map<Integer, Kms> lone = new HashMap<>();
  private final ScheduledThreadPoolExecutor executor = new ScheduledThreadPoolExecutor(1);
  private final List<ScheduledChange> told = new ArrayList<>();

  private Kms open(RootKey rootKey) {
    // Every use asks the root key.
    return Kms.builder().rootKey(rootKey).store(store).strict().build();
  }

  private QuorumRootKey quorum(int... members) {
    return quorum(patient(Math.min(REQUIRED, members.length)), members);
  }

  private QuorumRootKey quorum(QuorumRootKey.Builder builder, int... members) {
    IntStream.of(members).forEach(i -> builder.member(notClosing(keys.get(i)), "number=" + i));
    return builder.build();
  }

  /** All three, of which so many must wrap. */
  private QuorumRootKey quorumOf(int required) {
    return quorum(patient(required), 0, 1, 2);
  }

  private static QuorumRootKey.Builder patient(int required) {
    return QuorumRootKey.builder().required(required).patience(Duration.ofSeconds(30));
  }

  /** Two of three; one that hangs is left behind soon, and one that works is in time. */
  private QuorumRootKey impatientQuorum() {
    return quorum(
        QuorumRootKey.builder()
            .required(REQUIRED)
            .patience(Duration.ofMillis(500))
            .deadline(Duration.ofSeconds(2)),
        0,
        1,
        2);
  }

  private static RootKey notClosing(RootKey rootKey) {
    return new ForwardingRootKey(rootKey) {
      @Override
      public void close() {}
    };
  }

  private RootKeyId id(int member) {
    return keys.get(member).currentKeyId();
  }

  private List<RootKeyId> ids(List<Integer> members) {
    return members.stream().map(this::id).toList();
  }

  private byte[] seal(String keyset) {
    return kms.envelopeCipher(keyset).encrypt(DATA, ROW);
  }

  private void assertOpens(Kms process, String keyset, byte[] sealed) {
    assertArrayEquals(DATA, process.envelopeCipher(keyset).decrypt(sealed, ROW));
  }

  /** Of a keyset that was not looked at so before: nothing is known of it. */
  private void assertOpensUnderEach(List<Integer> members, String keyset, byte[] sealed) {
    for (int member : members) {
      Kms alone = lone.computeIfAbsent(member, i -> open(notClosing(keys.get(i))));
      assertOpens(alone, keyset, sealed);
    }
  }

  private void assertOpensAnewUnderEach(List<Integer> members, String keyset, byte[] sealed) {
    for (int member : members) {
      try (Kms alone = open(notClosing(keys.get(member)))) {
        assertOpens(alone, keyset, sealed);
      }
    }
  }

  /** One whose looks are made by the test. */
  private KeysetScheduler scheduler(Keysets own, Rig rig) {
    return own.scheduler(rig.time, executor, Duration.ofMinutes(1), told::add, null);
  }

  private List<ScheduledChange.Outcome> outcomes() {
    return told.stream().map(ScheduledChange::outcome).toList();
  }

  private void heal() {
    keys.forEach(key -> key.always(Fault.NONE));
  }

  @AfterEach
  void close() {
    heal();
    executor.shutdownNow();
    lone.values().forEach(Kms::close);
    kms.close();
    keys.forEach(FaultyRootKey::close);
  }

  private static List<List<Integer>> subsets() {
    List<List<Integer>> subsets = new ArrayList<>();
    for (int bits = 0; bits < 8; bits++) {
      int set = bits;
      subsets.add(IntStream.range(0, 3).filter(i -> (set >> i & 1) != 0).boxed().toList());
    }
    return subsets;
  }

  static Stream<Arguments> reasonsAndRequired() {
    return Stream.of(Reason.values())
        .flatMap(
            reason ->
                IntStream.rangeClosed(1, 3).mapToObj(required -> Arguments.of(reason, required)));
  }

  private static List<Integer> others(List<Integer> members) {
    return IntStream.range(0, 3).filter(i -> !members.contains(i)).boxed().toList();
  }

  /** Those of whom as many are left as must wrap. */
  private static List<List<Integer>> subsetsLeaving(int required) {
    return subsets().stream().filter(set -> 3 - set.size() >= required).toList();
  }

  private void letFail(List<Integer> failing, Fault fault) {
    failing.forEach(i -> keys.get(i).always(fault));
  }

  private void createWithout(Keysets keysets, List<Integer> missing, String name) {
    letFail(missing, Fault.failing(Reason.UNAVAILABLE));
    keysets.create(name, KeysetTemplate.defaults());
    heal();
    assertMissing(missing, name, name);
  }

  /** What the stored document says of who holds the newest version. */
  private void assertMissing(List<Integer> missing, String name, String cell) {
    List<KeyVersion> versions = KeysetJson.read(store.stored(name)).versions();
    KeyVersion newest = versions.get(versions.size() - 1);
    assertEquals(ids(missing), newest.missingRootKeyIds(), cell);
    assertEquals(ids(others(missing)), newest.holdingRootKeyIds(), cell);
  }

  private void assertFailsAndWritesNothing(
      Reason reason, String name, String cell, Supplier<Keyset> change) {
    StoredKeyset stored = store.stored(name);
    assertReason(reason, assertThrows(KmsException.class, change::get, cell), cell);
    assertEquals(stored, store.stored(name), cell + ": nothing is written");
  }

  /** Writes one revision that says who is missing if enough are left, and else fails. */
  private void assertWrapsIfEnough(
      int required,
      List<Integer> failing,
      Reason reason,
      String name,
      String cell,
      Supplier<Keyset> change) {
    if (3 - failing.size() < required) {
      assertFailsAndWritesNothing(reason, name, cell, change);
      return;
    }
    StoredKeyset before = store.stored(name);
    Keyset changed = change.get();
    assertEquals(before == null ? 1 : before.revision() + 1, changed.revision(), cell);
    assertEquals(changed.revision(), store.stored(name).revision(), cell);
    assertMissing(failing, name, cell);
  }

  /** Every verb that wraps, every set of failing root keys, for one reason. */
  @ParameterizedTest
  @MethodSource("reasonsAndRequired")
  void wrappingVerbs_withEveryFailingSet_recordWhoIsMissingOrChangeNothing(
      Reason reason, int required) {
    try (Kms process = open(quorumOf(required))) {
      int number = 0;
      for (List<Integer> failing : subsets()) {
        for (Verb verb : Verb.values()) {
          String name = "k" + number++;
          String cell = verb + " while " + failing + " fail";
          if (verb != Verb.CREATE) {
            process.keysets().create(name, KeysetTemplate.defaults());
          }
          byte[] before =
              verb == Verb.CREATE ? null : process.envelopeCipher(name).encrypt(DATA, ROW);
          letFail(failing, Fault.failing(reason));
          assertWrapsIfEnough(
              required, failing, reason, name, cell, () -> verb.run(process.keysets(), name));
          boolean wrapped = 3 - failing.size() >= required;
          if (wrapped && before != null) {
            assertOpens(process, name, before); // while they still fail
          }
          heal();
          if (before != null) {
            assertOpensUnderEach(
                verb == Verb.RULE && wrapped ? others(failing) : List.of(0, 1, 2), name, before);
          }
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("reasonsAndRequired")
  void moveToRootKey_toAQuorumWithEveryFailingSet_recordsWhoIsMissingOrChangesNothing(
      Reason reason, int required) {
    try (Kms process = open(TestRootKeys.inMemory())) {
      for (List<Integer> failing : subsets()) {
        String name = "k" + subsets().indexOf(failing);
        process.keysets().create(name, KeysetTemplate.defaults());
        byte[] sealed = process.envelopeCipher(name).encrypt(DATA, ROW);
        letFail(failing, Fault.failing(reason));
        try (QuorumRootKey target = quorumOf(required)) {
          assertWrapsIfEnough(
              required,
              failing,
              reason,
              name,
              "move while " + failing + " fail",
              () -> process.keysets().moveToRootKey(name, target));
        }
        heal();
        if (3 - failing.size() >= required) {
          assertOpensUnderEach(others(failing), name, sealed);
        } else {
          assertOpens(process, name, sealed);
        }
      }
    }
  }

  /** One holder that unwraps is enough, whoever else is missing or fails. */
  @ParameterizedTest
  @EnumSource
  void moveToRootKey_fromAQuorumWithEveryFailingSet_succeedsIfAHolderIsLeft(Reason reason) {
    try (Kms process = open(quorumOf(1))) {
      int number = 0;
      for (List<Integer> missing : subsetsLeaving(1)) {
        for (List<Integer> failing : subsets()) {
          String name = "k" + number++;
          String cell = "move from " + others(missing) + " while " + failing + " fail";
          createWithout(process.keysets(), missing, name);
          byte[] sealed = process.envelopeCipher(name).encrypt(DATA, ROW);
          FaultyRootKey target = FaultyRootKey.around(TestRootKeys.inMemory());
          Supplier<Keyset> move = () -> process.keysets().moveToRootKey(name, target);
          // Who is to take it fails as well.
          target.always(Fault.failing(reason));
          assertFailsAndWritesNothing(reason, name, cell, move);
          target.always(Fault.NONE);
          letFail(failing, Fault.failing(reason));
          try (Kms after = open(target)) {
            if (failing.containsAll(others(missing))) {
              assertFailsAndWritesNothing(reason, name, cell, move);
              heal();
              assertOpensUnderEach(others(missing), name, sealed);
            } else {
              KeyVersion moved = move.get().versions().get(0);
              assertEquals(Optional.of(target.currentKeyId()), moved.rootKeyId(), cell);
              assertEquals(moved, KeysetJson.read(store.stored(name)).versions().get(0), cell);
              assertOpens(after, name, sealed);
            }
          }
          heal();
        }
      }
    }
  }

  /** A repair never makes it worse: it writes if fewer are missing than before. */
  @ParameterizedTest
  @MethodSource("reasonsAndRequired")
  void repairWraps_withEveryMissingAndEveryFailingSet_repairsOrChangesNothing(
      Reason reason, int required) {
    try (Kms process = open(quorumOf(required))) {
      int number = 0;
      for (List<Integer> missing : subsetsLeaving(required)) {
        for (List<Integer> failing : subsets()) {
          String name = "k" + number++;
          String cell = "repair without " + missing + " while " + failing + " fail";
          createWithout(process.keysets(), missing, name);
          byte[] sealed = process.envelopeCipher(name).encrypt(DATA, ROW);
          letFail(failing, Fault.failing(reason));
          boolean readable = !failing.containsAll(others(missing));
          boolean enough = 3 - failing.size() >= required;
          Supplier<Keyset> repair = () -> process.keysets().repairWraps(name);
          if (!missing.isEmpty() && !(readable && enough)) {
            assertFailsAndWritesNothing(reason, name, cell, repair);
            assertMissing(missing, name, cell);
          } else {
            boolean better = failing.size() < missing.size();
            assertEquals(better ? 2 : 1, repair.get().revision(), cell);
            assertEquals(better ? 2 : 1, store.stored(name).revision(), cell);
            assertMissing(better ? failing : missing, name, cell);
          }
          heal();
          try (Kms another = open(quorumOf(required))) { // which knows nothing of the failures
            another.keysets().repairWraps(name);
          }
          assertMissing(List.of(), name, cell);
          assertOpensUnderEach(List.of(0, 1, 2), name, sealed);
        }
      }
    }
  }

  /** By a process that has never seen the keyset; whoever holds it is enough. */
  @ParameterizedTest
  @MethodSource("reasonsAndRequired")
  void messages_withEveryMissingAndEveryFailingSet_needOneHolder(Reason reason, int required) {
    int number = 0;
    for (List<Integer> missing : subsetsLeaving(required)) {
      String name = "k" + number++;
      byte[] sealed;
      try (Kms writer = open(quorumOf(required))) {
        createWithout(writer.keysets(), missing, name);
        sealed = writer.envelopeCipher(name).encrypt(DATA, ROW);
        letFail(missing, Fault.failing(Reason.UNAVAILABLE));
        writer.keysets().rotate(name);
        heal();
      }
      StoredKeyset stored = store.stored(name);
      for (List<Integer> failing : subsets()) {
        String cell = "held by " + others(missing) + " while " + failing + " fail";
        letFail(failing, Fault.failing(reason));
        try (Kms cold = open(quorumOf(required))) {
          EnvelopeCipher cipher = cold.envelopeCipher(name);
          for (Use use : Use.values()) {
            if (failing.containsAll(others(missing))) {
              KmsException failure =
                  assertThrows(KmsException.class, () -> use.of(cipher, sealed), use + cell);
              assertReason(reason, failure, use + cell);
            } else {
              byte[] made = use.of(cipher, sealed);
              assertEquals(use.version(), EnvelopeInfo.inspect(made).keyVersion(), use + cell);
              assertOpens(cold, name, made);
            }
          }
        }
        heal();
      }
      assertEquals(stored, store.stored(name), "messages write nothing");
    }
  }

  private enum Use {
    ENCRYPT {
      @Override
      byte[] of(EnvelopeCipher cipher, byte[] sealed) {
        return cipher.encrypt(DATA, ROW);
      }
    },
    DECRYPT {
      @Override
      byte[] of(EnvelopeCipher cipher, byte[] sealed) {
        assertArrayEquals(DATA, cipher.decrypt(sealed, ROW));
        return sealed;
      }

      @Override
      int version() {
        return 1;
      }
    },
    REWRAP {
      @Override
      byte[] of(EnvelopeCipher cipher, byte[] sealed) {
        return cipher.rewrap(sealed);
      }
    },
    REENCRYPT {
      @Override
      byte[] of(EnvelopeCipher cipher, byte[] sealed) {
        return cipher.reencrypt(sealed, ROW);
      }
    };

    /** Does it with a message of version 1 of a keyset whose primary is version 2. */
    abstract byte[] of(EnvelopeCipher cipher, byte[] sealed);

    int version() {
      return 2;
    }
  }

  /** Every verb and every use at the same time, so that all wait for the same time. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3})
  @Timeout(60)
  void everything_whileSomeHang_isServedByTheOthersOrUnavailableInTime(int hanging)
      throws Exception {
    List<Integer> failing = IntStream.range(0, hanging).boxed().toList(); // those preferred
    boolean enough = 3 - hanging >= REQUIRED;
    byte[] sealed = seal(keysets.create("used", KeysetTemplate.defaults()).id().value());
    keysets.rotate("used");
    List<Callable<Void>> cells = new ArrayList<>();
    CountDownLatch release = new CountDownLatch(1);
    FaultyRootKey outside = FaultyRootKey.around(TestRootKeys.inMemory());
    try (Kms process = open(impatientQuorum());
        Kms single = open(outside);
        QuorumRootKey target = impatientQuorum()) {
      for (Verb verb : Verb.values()) {
        String name = "k" + cells.size();
        if (verb != Verb.CREATE) {
          keysets.create(name, KeysetTemplate.defaults());
        }
        cells.add(
            cell(
                () ->
                    assertWrapsIfEnough(
                        REQUIRED,
                        failing,
                        Reason.UNAVAILABLE,
                        name,
                        verb + " while " + failing + " hang",
                        () -> verb.run(process.keysets(), name))));
      }
      single.keysets().create("in", KeysetTemplate.defaults());
      cells.add(
          cell(
              () ->
                  assertWrapsIfEnough(
                      REQUIRED,
                      failing,
                      Reason.UNAVAILABLE,
                      "in",
                      "move to the quorum while " + failing + " hang",
                      () -> single.keysets().moveToRootKey("in", target))));
      keysets.create("out", KeysetTemplate.defaults());
      Supplier<Keyset> move = () -> process.keysets().moveToRootKey("out", outside);
      cells.add(
          cell(
              () -> {
                if (hanging < 3) {
                  assertEquals(2, move.get().revision());
                  assertEquals(2, store.stored("out").revision());
                } else {
                  assertFailsAndWritesNothing(Reason.UNAVAILABLE, "out", "move from it", move);
                }
              }));
      createWithout(keysets, List.of(1), "torn");
      Supplier<Keyset> repair = () -> process.keysets().repairWraps("torn");
      cells.add(
          cell(
              () -> {
                if (enough) { // one for the other is no repair
                  assertEquals(1, repair.get().revision());
                } else {
                  assertFailsAndWritesNothing(Reason.UNAVAILABLE, "torn", "repair", repair);
                }
                assertMissing(List.of(1), "torn", "repair while " + failing + " hang");
              }));
      EnvelopeCipher cipher = process.envelopeCipher("used");
      for (Use use : Use.values()) {
        cells.add(
            cell(
                () -> {
                  if (hanging < 3) {
                    byte[] made = use.of(cipher, sealed);
                    assertEquals(use.version(), EnvelopeInfo.inspect(made).keyVersion());
                  } else {
                    assertReason(
                        Reason.UNAVAILABLE,
                        assertThrows(KmsException.class, () -> use.of(cipher, sealed)),
                        use.name());
                  }
                }));
      }
      letFail(failing, Fault.hanging(release));
      ExecutorService threads = Executors.newCachedThreadPool();
      try {
        for (Future<Void> done : threads.invokeAll(cells)) {
          done.get();
        }
      } finally {
        threads.shutdownNow();
        heal();
        release.countDown();
      }
    }
  }

  private static Callable<Void> cell(Runnable assertion) {
    return () -> {
      assertion.run();
      return null;
    };
  }

  /** Whatever happens meanwhile: what is written is held by enough, and can be repaired. */
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void faultsThatComeAndGo_leaveWhatRepairWrapsMakesWhole(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    List<String> names = List.of("a", "b", "c");
    List<Consumer<Kms>> opens = new ArrayList<>();
    for (String name : names) {
      keysets.create(name, KeysetTemplate.defaults());
    }
    for (int i = 0; i < 3; i++) {
      keys.get(i)
          .always(
              Fault.randomly(
                  seed + i,
                  30,
                  Fault.failing(Reason.UNAVAILABLE),
                  Fault.failing(Reason.THROTTLED),
                  Fault.failing(Reason.ACCESS_DENIED),
                  Fault.delaying(Duration.ofMillis(1))));
    }
    int missing = 0;
    int failures = 0;
    for (int step = 0; step < 60; step++) {
      String name = names.get(random.nextInt(names.size()));
      StoredKeyset before = store.stored(name);
      try {
        switch (random.nextInt(4)) {
          case 0 -> keysets.rotate(name);
          case 1 -> keysets.repairWraps(name);
          case 2 -> keysets.setRootKeyRule(name, RootKeyRule.any().forbidding("number=7"));
          default -> {
            byte[] sealed = seal(name);
            opens.add(process -> assertOpens(process, name, sealed));
          }
        }
      } catch (RootKeyException e) {
        failures++;
        assertEquals(before, store.stored(name), () -> "seed " + seed);
      }
      for (KeyVersion version : KeysetJson.read(store.stored(name)).versions()) {
        assertTrue(version.holdingRootKeyIds().size() >= REQUIRED, () -> "seed " + seed);
        missing += version.missingRootKeyIds().size();
      }
    }
    assertTrue(missing > 0 && failures > 0, missing + " missing, " + failures + " failures");
    heal();
    try (Kms another = open(quorumOf(REQUIRED))) { // which knows nothing of the failures
      for (String name : names) {
        long revision = another.keysets().repairWraps(name).revision();
        KeysetJson.read(store.stored(name))
            .versions()
            .forEach(v -> assertEquals(ids(List.of(0, 1, 2)), v.holdingRootKeyIds(), name));
        assertEquals(revision, another.keysets().repairWraps(name).revision(), "nothing is left");
      }
    }
    for (int member = 0; member < 3; member++) {
      try (Kms alone = open(notClosing(keys.get(member)))) {
        opens.forEach(open -> open.accept(alone));
      }
    }
  }

  private static void assertReason(Reason reason, KmsException failure, String cell) {
    if (failure instanceof KeysetCorruptedException) { // who reads a keyset calls it so
      assertEquals(Reason.INVALID_CIPHERTEXT, reason, cell);
    } else {
      assertEquals(reason, ((RootKeyException) failure).reason(), cell);
    }
  }

  private enum Verb {
    CREATE {
      @Override
      Keyset run(Keysets keysets, String name) {
        return keysets.create(name, KeysetTemplate.defaults());
      }
    },
    ROTATE {
      @Override
      Keyset run(Keysets keysets, String name) {
        return keysets.rotate(name);
      }
    },
    PUBLISH {
      @Override
      Keyset run(Keysets keysets, String name) {
        return keysets.publish(name);
      }
    },
    RULE {
      @Override
      Keyset run(Keysets keysets, String name) {
        return keysets.setRootKeyRule(name, RootKeyRule.any().forbidding("number=7"));
      }
    };

    abstract Keyset run(Keysets keysets, String name);
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
