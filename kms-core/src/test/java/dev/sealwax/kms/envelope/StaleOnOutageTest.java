package dev.sealwax.kms.envelope;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.ACCESS_DENIED;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.DISABLED;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.INVALID_CIPHERTEXT;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.THROTTLED;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNAVAILABLE;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.testkit.FaultyRootKey.Fault;
import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.KeyUnavailableException;
import dev.sealwax.kms.vocabulary.KeysetCorruptedException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KmsEvent;
import dev.sealwax.kms.vocabulary.KmsEvent.Operation;
import dev.sealwax.kms.vocabulary.RootKeyException;
import dev.sealwax.kms.vocabulary.RootKeyException.Reason;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Which keys serve in an outage of the root key, how long, and what ends it. */
final class StaleOnOutageTest {
  private static final EncryptionContext CONTEXT = EncryptionContext.of("row", "1");
  private static final byte[] MESSAGE = {1, 2, 3};
  private static final Duration SOFT = Duration.ofHours(1);
  private static final Duration HARD = Duration.ofHours(2);
  private static final Duration TO_ENCRYPT = Duration.ofHours(1);
  private static final Duration TO_DECRYPT = Duration.ofHours(3);
  private static final Duration IN_WINDOW = HARD.plusMinutes(30);

  private enum Use {
    ENCRYPT,
    DECRYPT,
    REWRAP
  }

  private final Queue<Runnable> background = new ArrayDeque<>();
  private final Queue<KmsEvent> events = new ConcurrentLinkedQueue<>();

  // No data key is kept, so that every message needs its key version.
  private final EnvelopeRig rig =
      EnvelopeRig.create(
          DataKeyPolicy.singleUse(),
          CachePolicy.of(SOFT, HARD, 100).withStaleOnOutage(TO_ENCRYPT, TO_DECRYPT),
          background::add,
          events::add);
  private final byte[] sealed = rig.cipher().encrypt(MESSAGE, CONTEXT);

  @AfterEach
  void close() {
    rig.close();
  }

  private void use(Use use) {
    switch (use) {
      case ENCRYPT -> rig.cipher().encrypt(MESSAGE, CONTEXT);
      case DECRYPT -> assertArrayEquals(MESSAGE, rig.cipher().decrypt(sealed, CONTEXT));
      case REWRAP -> rig.cipher().rewrap(sealed);
    }
  }

  private void runBackground() {
    for (Runnable task = background.poll(); task != null; task = background.poll()) {
      task.run();
    }
  }

  private void fail(Reason reason) {
    rig.root.always(Fault.failing(reason));
    rig.pass(Duration.ofMillis(100)); // longer than a failure answers for the root key
  }

  private void heal() {
    rig.root.always(Fault.NONE);
    rig.pass(Duration.ofMillis(1100)); // longer than the pause between two attempts
  }

  private static void assertFails(Reason reason, Executable call) {
    if (reason == INVALID_CIPHERTEXT) {
      assertThrows(KeysetCorruptedException.class, call);
    } else {
      assertEquals(reason, assertThrows(RootKeyException.class, call).reason());
    }
  }

  static Stream<Arguments> cases() {
    List<Duration> ages =
        List.of(
            SOFT.dividedBy(2),
            SOFT.plusMinutes(30),
            HARD.minusSeconds(1),
            HARD.plusMinutes(1),
            HARD.plus(TO_ENCRYPT).minusMinutes(1),
            HARD.plus(TO_ENCRYPT).plusMinutes(1),
            HARD.plus(TO_DECRYPT).minusMinutes(1),
            HARD.plus(TO_DECRYPT).plusMinutes(1));
    return Stream.of(Reason.values())
        .flatMap(
            reason ->
                Stream.of(Use.ENCRYPT, Use.DECRYPT)
                    .flatMap(use -> ages.stream().map(age -> Arguments.of(reason, use, age))));
  }

  @ParameterizedTest
  @MethodSource("cases")
  void keyVersion_servesWithinItsTimeAndInAnOutageWithinTheWindow(
      Reason reason, Use use, Duration age) {
    rig.pass(age.minusMillis(100));
    fail(reason);
    Duration window = use == Use.ENCRYPT ? TO_ENCRYPT : TO_DECRYPT;
    boolean outage = reason == THROTTLED || reason == UNAVAILABLE;
    boolean past = age.compareTo(HARD) >= 0;
    if ((reason == ACCESS_DENIED || reason == DISABLED) && !past && age.compareTo(SOFT) >= 0) {
      use(use);
      runBackground(); // which is told, and so everybody
      assertFails(reason, () -> use(use));
      heal();
      assertDoesNotThrow(() -> use(use));
      return;
    }
    if (!past || (outage && age.compareTo(HARD.plus(window)) < 0)) {
      for (int i = 0; i < 3; i++) {
        assertDoesNotThrow(() -> use(use));
        runBackground();
      }
      assertEquals(past ? 3 : 0, rig.keysets.keyVersionStatistics().outageServed());
    } else {
      assertFails(reason, () -> use(use));
      assertEquals(0, rig.keysets.keyVersionStatistics().outageServed());
    }
    heal();
    assertDoesNotThrow(() -> use(use));
  }

  @ParameterizedTest
  @EnumSource(Use.class)
  void outage_overWhileServing_isNoticedInTheBackground(Use use) {
    rig.pass(IN_WINDOW);
    fail(UNAVAILABLE);
    use(use);
    heal();
    use(use);
    runBackground();
    long served = rig.keysets.keyVersionStatistics().outageServed();
    int calls = rig.root.unwraps();
    rig.root.always(Fault.failing(ACCESS_DENIED));
    use(use); // loaded anew, so it needs nobody
    assertEquals(served, rig.keysets.keyVersionStatistics().outageServed());
    assertEquals(calls, rig.root.unwraps());
  }

  @Test
  void inTheWindow_onlyTheFirstWaitsForTheRootKey_whichIsAskedOnceASecond() {
    rig.pass(IN_WINDOW);
    fail(THROTTLED);
    int before = rig.root.unwraps();
    use(Use.DECRYPT);
    assertEquals(before + 1, rig.root.unwraps());
    for (int i = 0; i < 9; i++) {
      rig.pass(Duration.ofMillis(105));
      use(Use.DECRYPT);
      use(Use.ENCRYPT);
    }
    assertEquals(0, background.size());
    rig.pass(Duration.ofMillis(105));
    use(Use.DECRYPT);
    use(Use.DECRYPT);
    assertEquals(1, background.size());
    assertEquals(before + 1, rig.root.unwraps());
    runBackground();
    assertEquals(before + 2, rig.root.unwraps());
    use(Use.DECRYPT);
    assertEquals(0, background.size());
  }

  @ParameterizedTest
  @EnumSource(
      value = Reason.class,
      names = {"THROTTLED", "UNAVAILABLE"},
      mode = EnumSource.Mode.EXCLUDE)
  void anyOtherAnswer_inTheWindow_endsItForGood(Reason reason) {
    rig.pass(IN_WINDOW);
    fail(UNAVAILABLE);
    use(Use.DECRYPT);
    rig.pass(Duration.ofSeconds(2));
    fail(reason);
    use(Use.DECRYPT); // served, and the root key asked in the background
    runBackground();
    assertFails(reason, () -> use(Use.DECRYPT));
    fail(UNAVAILABLE);
    assertFails(UNAVAILABLE, () -> use(Use.DECRYPT));
    assertFails(UNAVAILABLE, () -> use(Use.ENCRYPT));
  }

  @ParameterizedTest
  @EnumSource(
      value = Reason.class,
      names = {"THROTTLED", "UNAVAILABLE"},
      mode = EnumSource.Mode.EXCLUDE)
  void anyOtherAnswer_toARenewalBefore_leavesNothingForTheOutage(Reason reason) {
    rig.pass(SOFT.plusMinutes(30));
    fail(reason);
    use(Use.DECRYPT);
    runBackground();
    if (reason != ACCESS_DENIED && reason != DISABLED) {
      use(Use.DECRYPT); // still within its hard time to live
    }
    fail(UNAVAILABLE);
    rig.pass(Duration.ofHours(1));
    assertFails(UNAVAILABLE, () -> use(Use.DECRYPT));
  }

  /**
   * Whoever is denied may slow that answer down until the time is over, and then cut the network.
   */
  @Test
  void denialOfARenewal_thatComesWhenTheTimeIsOver_endsItForGood() {
    rig.pass(SOFT.plusMinutes(30));
    use(Use.DECRYPT); // begins a renewal
    rig.pass(HARD.minus(SOFT));
    fail(UNAVAILABLE);
    use(Use.DECRYPT);
    fail(Reason.ACCESS_DENIED);
    runBackground();
    fail(UNAVAILABLE);
    assertFails(UNAVAILABLE, () -> use(Use.DECRYPT));
  }

  @Test
  void keyThatWasIdle_asksTheRootKeyBeforeItServesAgain() {
    rig.pass(IN_WINDOW);
    fail(UNAVAILABLE);
    use(Use.DECRYPT);
    rig.pass(Duration.ofSeconds(11));
    fail(ACCESS_DENIED);
    assertFails(ACCESS_DENIED, () -> use(Use.DECRYPT));
  }

  @Test
  void renewalsThatMetTheOutage_leaveTheKeyForIt() {
    rig.pass(SOFT.plusMinutes(30));
    fail(UNAVAILABLE);
    use(Use.DECRYPT);
    runBackground();
    rig.pass(Duration.ofHours(1));
    use(Use.DECRYPT);
  }

  @ParameterizedTest
  @EnumSource(Use.class)
  void interruptOfTheCaller_isNoOutage(Use use) {
    rig.pass(IN_WINDOW);
    rig.root.always(Fault.hanging(new CountDownLatch(1)));
    Thread.currentThread().interrupt();
    assertFails(UNAVAILABLE, () -> use(use));
    assertTrue(Thread.interrupted());
    rig.root.always(Fault.NONE);
    use(use); // asks at once: neither the interrupt nor its failure is anybody else's
    assertEquals(0, rig.keysets.keyVersionStatistics().outageServed());
  }

  @Test
  void interruptOfTheCaller_neitherProlongsAnOutageNorEndsIt() {
    rig.pass(IN_WINDOW);
    fail(UNAVAILABLE);
    use(Use.DECRYPT);
    Thread.currentThread().interrupt();
    use(Use.DECRYPT); // needs nobody
    rig.pass(Duration.ofSeconds(11));
    assertFails(UNAVAILABLE, () -> use(Use.DECRYPT));
    assertTrue(Thread.interrupted());
    fail(ACCESS_DENIED);
    assertFails(ACCESS_DENIED, () -> use(Use.DECRYPT));
  }

  @Test
  void interruptOfTheCaller_withinTheTimeToLive_hurtsNothing() {
    rig.pass(SOFT.plusMinutes(30));
    rig.root.always(Fault.hanging(new CountDownLatch(1)));
    for (int i = 0; i < 3; i++) {
      Thread.currentThread().interrupt();
      for (Use use : Use.values()) {
        use(use);
      }
      runBackground(); // on this thread
      assertTrue(Thread.interrupted());
      rig.pass(SOFT.dividedBy(20));
    }
  }

  @Test
  void rootKeySwitchedOff_seenThroughAnotherKeyset_endsItForAllUntilItUnwrapsAgain() {
    rig.verbs().create("other", KeysetTemplate.defaults());
    byte[] others = rig.cipher("other").encrypt(MESSAGE, CONTEXT);
    rig.pass(IN_WINDOW);
    fail(DISABLED);
    assertFails(DISABLED, () -> rig.cipher("other").decrypt(others, CONTEXT));
    fail(UNAVAILABLE);
    assertFails(UNAVAILABLE, () -> use(Use.DECRYPT));
    rig.root.next(Fault.NONE);
    assertArrayEquals(MESSAGE, rig.cipher("other").decrypt(others, CONTEXT));
    rig.pass(Duration.ofMillis(100));
    use(Use.DECRYPT);
  }

  @Test
  void answerThatIsAnotherKey_endsIt() {
    rig.pass(IN_WINDOW);
    try (KeyMaterial other = KeyMaterial.copyOf(new byte[64])) {
      rig.root.always(Fault.answeringWith(other));
      assertThrows(KeysetCorruptedException.class, () -> use(Use.DECRYPT));
    }
    fail(UNAVAILABLE);
    assertFails(UNAVAILABLE, () -> use(Use.DECRYPT));
  }

  @Test
  void revocation_inTheWindow_isObeyedAtOnceAndWipesTheKey() {
    rig.pass(IN_WINDOW);
    fail(UNAVAILABLE);
    use(Use.DECRYPT);
    rig.verbs().disable(EnvelopeRig.NAME, 1);
    assertThrows(KeyUnavailableException.class, () -> use(Use.DECRYPT));
    assertThrows(KeyUnavailableException.class, () -> use(Use.ENCRYPT));
    rig.verbs().enable(EnvelopeRig.NAME, 1);
    assertFails(UNAVAILABLE, () -> use(Use.DECRYPT));
  }

  @Test
  void service_isCountedAndTold() {
    rig.pass(IN_WINDOW);
    fail(UNAVAILABLE);
    events.clear();
    use(Use.DECRYPT);
    use(Use.ENCRYPT);
    assertEquals(2, rig.keysets.keyVersionStatistics().outageServed());
    assertEquals(0, rig.keysets.keyVersionStatistics().staleServed());
    Duration age = IN_WINDOW.plusMillis(100);
    assertEquals(age, rig.keysets.keyVersionStatistics().oldestServedAge());
    List<KmsEvent> told =
        events.stream().filter(e -> e.operation() == Operation.OUTAGE_SERVED).toList();
    assertEquals(2, told.size());
    assertEquals(KeysetId.of(EnvelopeRig.NAME), told.get(0).keyset());
    assertEquals(1, told.get(0).keyVersion());
    assertEquals(age, told.get(0).duration());
  }

  @Test
  void close_wipesWhatWasKeptForAnOutage() {
    rig.pass(IN_WINDOW);
    fail(UNAVAILABLE);
    use(Use.DECRYPT);
    assertEquals(1, rig.keysets.keyVersionStatistics().entries());
    rig.close();
    assertEquals(0, rig.keysets.keyVersionStatistics().entries());
  }

  @Test
  void windowOfOneUse_isNoneOfTheOther() {
    CachePolicy policy = CachePolicy.of(SOFT, HARD, 100);
    for (Use allowed : List.of(Use.ENCRYPT, Use.DECRYPT)) {
      Duration encrypt = allowed == Use.ENCRYPT ? TO_ENCRYPT : Duration.ZERO;
      Duration decrypt = allowed == Use.DECRYPT ? TO_DECRYPT : Duration.ZERO;
      try (EnvelopeRig one =
          EnvelopeRig.create(
              DataKeyPolicy.singleUse(),
              policy.withStaleOnOutage(encrypt, decrypt),
              Runnable::run,
              null)) {
        byte[] envelope = one.cipher().encrypt(MESSAGE, CONTEXT);
        one.pass(IN_WINDOW);
        one.root.always(Fault.failing(UNAVAILABLE));
        if (allowed == Use.ENCRYPT) {
          one.cipher().encrypt(MESSAGE, CONTEXT);
          assertFails(UNAVAILABLE, () -> one.cipher().decrypt(envelope, CONTEXT));
          assertFails(UNAVAILABLE, () -> one.cipher().reencrypt(envelope, CONTEXT));
        } else {
          assertFails(UNAVAILABLE, () -> one.cipher().encrypt(MESSAGE, CONTEXT));
          assertArrayEquals(MESSAGE, one.cipher().decrypt(envelope, CONTEXT));
        }
      }
    }
  }

  static Stream<Arguments> movedMessages() {
    Duration encrypts = HARD.plus(TO_ENCRYPT);
    Duration decrypts = HARD.plus(TO_DECRYPT);
    Duration moment = Duration.ofMinutes(1);
    return Stream.of(
        // age of the message's key version, of the primary, and whether the message can be moved
        Arguments.of(HARD.plus(moment), HARD.minus(moment), true),
        Arguments.of(HARD.plus(moment), HARD.plus(moment), true),
        Arguments.of(encrypts.plus(moment), HARD.minus(moment), true),
        Arguments.of(encrypts.plus(moment), encrypts.minus(moment), true),
        Arguments.of(encrypts.plus(moment), encrypts.plus(moment), false),
        Arguments.of(decrypts.minus(moment), encrypts.minus(moment), true),
        Arguments.of(decrypts.minus(moment), encrypts.plus(moment), false),
        Arguments.of(decrypts.plus(moment), HARD.minus(moment), false),
        Arguments.of(decrypts.plus(moment), encrypts.minus(moment), false));
  }

  /** The message's key version has to decrypt, and the primary to encrypt; each in its window. */
  @ParameterizedTest
  @MethodSource("movedMessages")
  void rewrapAndReencrypt_needTheWindowsOfBothVersions(
      Duration source, Duration primary, boolean moves) {
    use(Use.DECRYPT);
    rig.pass(source.minus(primary));
    rig.verbs().rotate(EnvelopeRig.NAME);
    use(Use.ENCRYPT); // by the new version, which the root key has just unwrapped
    rig.pass(primary.minusMillis(100));
    fail(UNAVAILABLE);
    EnvelopeCipher cipher = rig.cipher();
    if (moves) {
      assertEquals(2, EnvelopeInfo.inspect(cipher.rewrap(sealed)).keyVersion());
      byte[] anew = cipher.reencrypt(sealed, CONTEXT);
      assertEquals(2, EnvelopeInfo.inspect(anew).keyVersion());
      assertArrayEquals(MESSAGE, cipher.decrypt(anew, CONTEXT));
    } else {
      assertFails(UNAVAILABLE, () -> cipher.rewrap(sealed));
      assertFails(UNAVAILABLE, () -> cipher.reencrypt(sealed, CONTEXT));
    }
    boolean reads = source.compareTo(HARD.plus(TO_DECRYPT)) < 0;
    if (reads) {
      assertArrayEquals(MESSAGE, cipher.decrypt(sealed, CONTEXT));
    } else {
      assertFails(UNAVAILABLE, () -> cipher.decrypt(sealed, CONTEXT));
    }
    heal();
    assertEquals(2, EnvelopeInfo.inspect(cipher.rewrap(sealed)).keyVersion());
    assertEquals(2, EnvelopeInfo.inspect(cipher.reencrypt(sealed, CONTEXT)).keyVersion());
  }

  /** A message that is there already is verified, which is a use to decrypt (design 3.5). */
  @Test
  void rewrap_ofAMessageOfThePrimary_needsTheWindowToDecryptOnly() {
    rig.pass(HARD.plus(TO_ENCRYPT).plusMinutes(1));
    fail(UNAVAILABLE);
    assertArrayEquals(sealed, rig.cipher().rewrap(sealed));
    assertFails(UNAVAILABLE, () -> rig.cipher().reencrypt(sealed, CONTEXT));
    assertFails(UNAVAILABLE, () -> use(Use.ENCRYPT));
    rig.pass(TO_DECRYPT.minus(TO_ENCRYPT));
    assertFails(UNAVAILABLE, () -> rig.cipher().rewrap(sealed));
  }

  @Test
  void dataKeys_haveNoWindowOfTheirOwn() {
    CachePolicy window = CachePolicy.of(SOFT, HARD, 1).withStaleOnOutage(TO_ENCRYPT, TO_DECRYPT);
    DataKeyPolicy policy = DataKeyPolicy.defaults();
    assertThrows(IllegalArgumentException.class, () -> policy.withEncryptCache(window));
    assertThrows(IllegalArgumentException.class, () -> policy.withDecryptCache(window));
  }
}
