package dev.sealwax.kms.keyset;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.envelope.EnvelopeInfo;
import dev.sealwax.kms.rootkey.QuorumRootKey;
import dev.sealwax.kms.rootkey.RootKeyRule;
import dev.sealwax.kms.rootkey.TestRootKeys;
import dev.sealwax.kms.store.StoredKeyset;
import dev.sealwax.kms.testkit.FaultyRootKey;
import dev.sealwax.kms.testkit.FaultyRootKey.Fault;
import dev.sealwax.kms.vocabulary.KeysetCorruptedException;
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
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Every use and every verb of keysets under a quorum, whichever of its root keys fail. */
final class QuorumKeysetFaultsTest extends QuorumKeysetFixture {
  private final Map<Integer, Kms> lone = new HashMap<>();

  @AfterEach
  void closeLone() {
    heal();
    lone.values().forEach(Kms::close);
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

  /** Of a keyset that was not looked at so before: nothing is known of it. */
  private void assertOpensUnderEach(List<Integer> members, String keyset, byte[] sealed) {
    for (int member : members) {
      Kms alone = lone.computeIfAbsent(member, i -> open(notClosing(keys.get(i))));
      assertOpens(alone, keyset, sealed);
    }
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
                  assertThrows(KmsException.class, () -> use.of(cipher, sealed), use + " " + cell);
              assertReason(reason, failure, use + " " + cell);
            } else {
              byte[] made = use.of(cipher, sealed);
              assertEquals(
                  use.version(), EnvelopeInfo.inspect(made).keyVersion(), use + " " + cell);
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
}
