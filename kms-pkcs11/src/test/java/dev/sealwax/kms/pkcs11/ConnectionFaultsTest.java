package dev.sealwax.kms.pkcs11;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.ACCESS_DENIED;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.INTERNAL;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNAVAILABLE;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNSUPPORTED;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.rootkey.WrappedKey;
import java.io.IOException;
import java.nio.file.Files;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What one fault must not do to other calls, other connections, other modules, and the PIN. */
final class ConnectionFaultsTest extends FakeTokenTest {
  private static final Duration SHORT = Duration.ofSeconds(2);
  private static final Duration LONG = Duration.ofHours(1);
  private static final long VENDOR = 0x80000123L;

  @Test
  void aCallThatOutlivesItsConnection_finalizesNothingUnderItsSuccessor() throws Exception {
    create().close();
    CountDownLatch release = new CountDownLatch(1);
    Pkcs11Config patient = config;
    config = patient.withCallTimeout(SHORT);
    Pkcs11RootKey left = open();
    WrappedKey wrapped = wrap(left);
    module.hanging(CkFunction.C_Decrypt, release);
    assertFails(UNAVAILABLE, () -> assertOpens(left, wrapped));
    // Others' calls do not hang.
    module.hanging(CkFunction.C_Decrypt, new CountDownLatch(0));
    left.close();
    int finalized = module.calls(CkFunction.C_Finalize);
    config = patient;
    try (Pkcs11RootKey successor = open()) {
      wrap(successor);
      module.failing(CkFunction.C_Decrypt, ReturnCode.CKR_DEVICE_ERROR.code());
      release.countDown();
      // The late call has ended when its session is closed: what is left is the successor's.
      await(() -> module.openSessions() == 2);
      assertEquals(finalized, module.calls(CkFunction.C_Finalize));
      module.heal();
      assertRecovers(successor, wrapped);
      assertEquals(finalized, module.calls(CkFunction.C_Finalize));
    }
    assertEquals(finalized + 1, module.calls(CkFunction.C_Finalize));
    assertEquals(0, module.openSessions());
  }

  private static void await(BooleanSupplier condition) throws Exception {
    long end = System.nanoTime() + Duration.ofSeconds(20).toNanos();
    while (!condition.getAsBoolean()) {
      assertTrue(System.nanoTime() < end, "in time");
      Thread.sleep(5);
    }
  }

  @Test
  void aHangingInitialize_holdsNeitherItsCallerNorOtherModules() throws Exception {
    config = config.withCallTimeout(SHORT);
    CountDownLatch release = new CountDownLatch(1);
    module.hanging(CkFunction.C_Initialize, release);
    assertFails(UNAVAILABLE, this::open);
    assertFails(UNAVAILABLE, this::open);
    Pkcs11Config other = otherModule();
    FakeModule second = new FakeModule();
    Pkcs11Token.open(other, path -> second).close();
    release.countDown();
    module.heal();
    config = config.withCallTimeout(Duration.ofSeconds(10));
    create().close();
  }

  private Pkcs11Config otherModule() throws IOException {
    return Pkcs11Config.of(
            Files.createFile(directory.resolve("other.so")), "pkcs11:token=fake;object=root")
        .withPin(FakeModule.PIN::toCharArray);
  }

  @ParameterizedTest
  @ValueSource(strings = {"C_Finalize", "C_CloseSession"})
  void aCloseThatHangs_endsAllTheSame(String function) throws Exception {
    create().close();
    config = config.withCallTimeout(SHORT);
    Pkcs11RootKey rootKey = open();
    CountDownLatch release = new CountDownLatch(1);
    module.hanging(CkFunction.valueOf(function), release);
    Thread closing = new Thread(rootKey::close);
    closing.start();
    closing.join(10_000);
    assertFalse(closing.isAlive());
    release.countDown();
    module.heal();
    config = config.withCallTimeout(Duration.ofSeconds(10));
    open().close();
  }

  @Test
  void close_onAnInterruptedThread_closesEverything() {
    Pkcs11RootKey rootKey = create();
    wrap(rootKey);
    int finalized = module.calls(CkFunction.C_Finalize);
    Thread.currentThread().interrupt();
    rootKey.close();
    assertTrue(Thread.interrupted());
    assertEquals(finalized + 1, module.calls(CkFunction.C_Finalize));
    assertEquals(0, module.openSessions());
  }

  @ParameterizedTest
  @ValueSource(longs = {VENDOR, 0x5, 0x6, 0x30, 0x101, 0xA4, 0xA3})
  void aLoginThatFailsWithoutAReason_presentsThePinOnce(long code) {
    create().close();
    Pkcs11Config usual = config;
    config = config.withBackOff(LONG, LONG);
    int before = module.calls(CkFunction.C_Login);
    module.failing(CkFunction.C_Login, code);
    for (int i = 0; i < 3; i++) {
      assertFails(ReturnCode.of(code).reason(), this::open);
    }
    assertEquals(before + 1, module.calls(CkFunction.C_Login));
    module.heal();
    assertFails(ReturnCode.of(code).reason(), this::open);
    Pkcs11Token.forgetRefusedPins();
    config = usual;
    open().close();
  }

  @Test
  void aLoginInASessionThatEnded_isRepeated() {
    create().close();
    int before = module.calls(CkFunction.C_Login);
    failOnce(CkFunction.C_Login, ReturnCode.CKR_SESSION_HANDLE_INVALID);
    open().close();
    assertEquals(before + 2, module.calls(CkFunction.C_Login));
  }

  @Test
  void aVendorsCode_isNoReasonToInitializeAnew() {
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey wrapped = wrap(rootKey);
      module.failing(CkFunction.C_EncryptInit, VENDOR);
      for (int i = 0; i < 5; i++) {
        assertFails(INTERNAL, () -> wrap(rootKey));
      }
      assertEquals(0, rootKey.health().reinitializations());
      assertOpens(rootKey, wrapped);
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {0x101, 0x30, 0x5, 0x6})
  void whatFailsForEverInAWorkingToken_isRecoveredFromOnceAndHurtsNobodyElse(long code) {
    config = config.withBackOff(LONG, LONG);
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey wrapped = wrap(rootKey);
      module.failing(CkFunction.C_EncryptInit, code);
      for (int i = 0; i < 5; i++) {
        assertFails(ReturnCode.of(code).reason(), () -> wrap(rootKey));
        assertOpens(rootKey, wrapped);
      }
      assertEquals(1, rootKey.health().reinitializations());
      assertEquals(CircuitState.CLOSED, rootKey.health().circuit());
    }
  }

  @Test
  void callsBehindHangingOnes_leaveTheQueueAndThenFailAtOnce() throws Exception {
    create().close();
    config = config.withMaxSessions(1).withCallTimeout(SHORT);
    CountDownLatch release = new CountDownLatch(1);
    try (Pkcs11RootKey rootKey = open()) {
      WrappedKey wrapped = wrap(rootKey);
      int before = module.calls(CkFunction.C_DecryptInit);
      module.hanging(CkFunction.C_DecryptInit, release);
      Thread first =
          new Thread(() -> assertFails(UNAVAILABLE, () -> assertOpens(rootKey, wrapped)));
      first.start();
      await(() -> module.calls(CkFunction.C_DecryptInit) > before);
      assertFails(UNAVAILABLE, () -> wrap(rootKey));
      first.join();
      assertEquals(0, rootKey.health().callsWaiting());
      assertEquals(1, rootKey.health().callsOverdue());
      long start = System.nanoTime();
      assertFails(UNAVAILABLE, () -> wrap(rootKey));
      assertTrue(System.nanoTime() - start < SHORT.toNanos());
      release.countDown();
      module.heal();
    }
  }

  @Test
  void anotherTokenOfTheSameLabel_neverSeesThePin() {
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey wrapped = wrap(rootKey);
      int before = module.calls(CkFunction.C_Login);
      module.serial = "0002";
      module.closeAllSessions();
      assertFails(UNAVAILABLE, () -> assertOpens(rootKey, wrapped));
      assertEquals(before, module.calls(CkFunction.C_Login));
      module.serial = "0001";
      assertRecovers(rootKey, wrapped);
    }
  }

  @Test
  void theRightPin_isNotLatchedByALockedToken() {
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey wrapped = wrap(rootKey);
      module.closeAllSessions();
      module.failing(CkFunction.C_Login, ReturnCode.CKR_PIN_LOCKED.code());
      assertFails(ACCESS_DENIED, () -> assertOpens(rootKey, wrapped));
      assertEquals(PinState.LOCKED, rootKey.health().pin());
      module.heal();
      assertRecovers(rootKey, wrapped);
      assertEquals(PinState.ACCEPTED, rootKey.health().pin());
    }
  }

  @Test
  void aPinNobodyLookedAt_isNotCalledAccepted() {
    try (Pkcs11RootKey first = create();
        Pkcs11RootKey second = open()) {
      assertEquals(PinState.ACCEPTED, first.health().pin());
      assertEquals(PinState.UNKNOWN, second.health().pin());
    }
  }

  @Test
  void aPinSourceThatFails_deniesAccess() {
    create().close();
    config =
        config.withPin(
            () -> {
              throw new IllegalStateException("no backend");
            });
    assertFails(ACCESS_DENIED, this::open);
  }

  @Test
  @SuppressWarnings("NullAway") // that is the fault
  void aPinSourceThatGivesNothing_deniesAccess() {
    create().close();
    config = config.withPin(() -> null);
    assertFails(ACCESS_DENIED, this::open);
  }

  @Test
  void aSessionThatEnded_isNotClosedByItsNumber() {
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey wrapped = wrap(rootKey);
      int before = module.calls(CkFunction.C_CloseSession);
      module.closeAllSessions();
      assertOpens(rootKey, wrapped);
      // The anchor's alone, which tells that it is gone with the others.
      assertEquals(before + 1, module.calls(CkFunction.C_CloseSession));
    }
  }

  @Test
  void aSessionThatEndedAlone_leavesNoOthersOpen() {
    module.maxSessions = 6;
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey wrapped = wrap(rootKey);
      int open = module.openSessions();
      for (int i = 0; i < 8; i++) {
        module.endNewestSession();
        assertOpens(rootKey, wrapped);
        assertEquals(open, module.openSessions());
      }
      assertEquals(0, rootKey.health().reinitializations());
    }
  }

  /** What C_CloseSession refuses stays open until the module is finalized. */
  @Test
  void sessionsThatCouldNotBeClosed_areEndedWhenThereIsNoOther() {
    module.maxSessions = 4;
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey wrapped = wrap(rootKey);
      module.failing(CkFunction.C_CloseSession, ReturnCode.CKR_FUNCTION_FAILED.code());
      for (int i = 0; i < 8; i++) {
        module.endNewestSession();
        assertOpens(rootKey, wrapped);
      }
      assertTrue(rootKey.health().reinitializations() > 0);
    }
  }

  @Test
  void anotherTokenOfTheModule_isNotHurtByOneThatIsGone() {
    config = config.withBackOff(LONG, LONG);
    try (Pkcs11RootKey gone = create()) {
      WrappedKey wrapped = wrap(gone);
      // As if the module had two tokens, and lost the first.
      module.serial = "0002";
      try (Pkcs11RootKey other = open()) {
        assertOpens(other, wrapped);
        module.closeAllSessions();
        for (int i = 0; i < 3; i++) {
          assertFails(UNAVAILABLE, () -> wrap(gone));
          assertOpens(other, wrapped);
        }
        assertEquals(CircuitState.OPEN, gone.health().circuit());
        assertEquals(CircuitState.CLOSED, other.health().circuit());
        assertEquals(1, other.health().reinitializations(), "tokens are listed anew only then");
      }
    }
  }

  @Test
  void aTokenThatIsGoneFromASharedModule_hurtsNoOther() {
    config = config.withBackOff(LONG, LONG).accepting(Concession.SHARED_MODULE);
    try (Pkcs11RootKey gone = create()) {
      WrappedKey wrapped = wrap(gone);
      module.serial = "0002";
      try (Pkcs11RootKey other = open()) {
        module.closeAllSessions();
        assertFails(UNAVAILABLE, () -> wrap(gone));
        assertOpens(other, wrapped);
      }
    }
  }

  /** Some modules report a lost connection by a code of their own. */
  @Test
  void aVendorsCodeOfATokenThatDoesNotAnswer_isAReasonToInitializeAnew() {
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey wrapped = wrap(rootKey);
      int initializations = module.initializations();
      for (CkFunction function :
          new CkFunction[] {CkFunction.C_Decrypt, CkFunction.C_OpenSession}) {
        module.failing(function, VENDOR, fake -> fake.initializations() > initializations);
      }
      assertOpens(rootKey, wrapped);
      assertEquals(1, rootKey.health().reinitializations());
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {VENDOR, 0x5, 0x30})
  void aSlotThatFails_isNotInTheWayOfOthers(long code) {
    module.brokenSlot = code;
    try (Pkcs11RootKey rootKey = create()) {
      assertOpens(rootKey, wrap(rootKey));
      assertEquals(0, rootKey.health().reinitializations());
    }
    config = Pkcs11Config.of(config.module(), "pkcs11:token=absent;object=root");
    assertFails(ReturnCode.of(code).reason(), this::open);
  }

  @Test
  void aTokenWithOneSession_isRefusedByName() {
    create().close();
    module.maxSessions = 1;
    assertFails(UNSUPPORTED, this::open);
  }

  @Test
  void aTokenWithOneSessionForWriting_isEnough() {
    module.maxWritableSessions = 1;
    create().close();
  }
}
