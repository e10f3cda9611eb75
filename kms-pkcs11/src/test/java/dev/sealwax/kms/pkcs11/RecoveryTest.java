package dev.sealwax.kms.pkcs11;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.INVALID_CIPHERTEXT;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.NOT_FOUND;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.THROTTLED;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNAVAILABLE;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;

/** Each rung of the ladder, and what callers see meanwhile. */
final class RecoveryTest extends FakeTokenTest {
  @Test
  void sessionsClosedByOthers_areReplacedWithinTheCall() {
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey wrapped = wrap(rootKey);
      module.closeAllSessions();
      assertOpens(rootKey, wrapped);
      assertEquals(0, rootKey.health().reinitializations());
      assertEquals(2, rootKey.health().logins());
    }
  }

  @Test
  void aBusySession_isReplacedWithinTheCall() {
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey wrapped = wrap(rootKey);
      failOnce(CkFunction.C_DecryptInit, ReturnCode.CKR_OPERATION_ACTIVE);
      assertOpens(rootKey, wrapped);
      assertEquals(0, rootKey.health().reinitializations());
    }
  }

  @Test
  void aLostDevice_isInitializedAnewWithinTheCall() {
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey wrapped = wrap(rootKey);
      int initializations = module.initializations();
      module.failing(
          CkFunction.C_DecryptInit,
          ReturnCode.CKR_DEVICE_ERROR.code(),
          fake -> fake.initializations() > initializations);
      assertOpens(rootKey, wrapped);
      assertEquals(1, rootKey.health().reinitializations());
      assertEquals(CircuitState.CLOSED, rootKey.health().circuit());
    }
  }

  /** Beyond one try on each rung nothing is repeated, so a caller never waits for a loop. */
  @Test
  void aLostDeviceThatStaysLost_isTriedTwiceAndLeftAlone() {
    config = config.withBackOff(Duration.ofHours(1), Duration.ofHours(1));
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey wrapped = wrap(rootKey);
      module.failing(CkFunction.C_DecryptInit, ReturnCode.CKR_DEVICE_ERROR.code());
      module.failing(CkFunction.C_OpenSession, ReturnCode.CKR_DEVICE_ERROR.code());
      int before = module.calls(CkFunction.C_DecryptInit);
      assertFails(UNAVAILABLE, () -> assertOpens(rootKey, wrapped));
      assertEquals(before + 1, module.calls(CkFunction.C_DecryptInit));
      Pkcs11Health health = rootKey.health();
      assertEquals(CircuitState.OPEN, health.circuit());
      assertEquals(1, health.consecutiveFailures());
      assertTrue(health.untilNextAttempt().compareTo(Duration.ofMinutes(44)) > 0);
      assertTrue(health.lastFailure().orElseThrow().contains("CKR_DEVICE_ERROR"));
      RootKeyException refused = assertFails(UNAVAILABLE, () -> assertOpens(rootKey, wrapped));
      assertTrue(refused.getMessage().contains("left alone"), refused::getMessage);
      assertEquals(before + 1, module.calls(CkFunction.C_DecryptInit));
    }
  }

  @Test
  void aTokenThatCannotBeInitialized_comesBackAfterTheBackOff() {
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey wrapped = wrap(rootKey);
      module.failing(CkFunction.C_DecryptInit, ReturnCode.CKR_DEVICE_REMOVED.code());
      module.failing(CkFunction.C_Initialize, ReturnCode.CKR_GENERAL_ERROR.code());
      assertFails(UNAVAILABLE, () -> assertOpens(rootKey, wrapped));
      assertFails(UNAVAILABLE, () -> assertOpens(rootKey, wrapped));
      module.heal();
      assertRecovers(rootKey, wrapped);
      assertEquals(CircuitState.CLOSED, rootKey.health().circuit());
      assertEquals(0, rootKey.health().consecutiveFailures());
    }
  }

  @Test
  void aTokenTakenOut_isAnOutageUntilItIsBack() {
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey wrapped = wrap(rootKey);
      module.tokenPresent = false;
      module.closeAllSessions();
      assertFails(UNAVAILABLE, () -> assertOpens(rootKey, wrapped));
      module.tokenPresent = true;
      assertRecovers(rootKey, wrapped);
    }
  }

  /**
   * A module whose login is gone shows no objects at all; that must not look like "no such key".
   */
  @Test
  void aKeyThatVanished_isLookedForInAFreshModuleAndThenMissed() {
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey wrapped = wrap(rootKey);
      module.destroyKeys();
      assertFails(NOT_FOUND, () -> assertOpens(rootKey, wrapped));
      assertEquals(1, rootKey.health().reinitializations());
      assertFails(NOT_FOUND, () -> assertOpens(rootKey, wrapped));
      assertFails(NOT_FOUND, () -> wrap(rootKey));
      assertEquals(1, rootKey.health().reinitializations(), "others use the module");
      assertEquals(CircuitState.CLOSED, rootKey.health().circuit());
    }
  }

  /** Which looks like another key at first. */
  @Test
  void aGlitchAfterANewLogin_isNoOtherKey() {
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey wrapped = wrap(rootKey);
      module.closeAllSessions();
      failOnce(CkFunction.C_Decrypt, ReturnCode.CKR_DEVICE_ERROR);
      assertOpens(rootKey, wrapped);
    }
  }

  @Test
  void aModuleThatStaysInitialized_isNotTakenForRecovered() {
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey wrapped = wrap(rootKey);
      config = config.withBackOff(Duration.ofHours(1), Duration.ofHours(1));
      module.failing(CkFunction.C_DecryptInit, ReturnCode.CKR_DEVICE_ERROR.code());
      module.failing(CkFunction.C_Finalize, ReturnCode.CKR_DEVICE_ERROR.code());
      RootKeyException failure = assertFails(UNAVAILABLE, () -> assertOpens(rootKey, wrapped));
      assertTrue(failure.getMessage().contains("stays initialized"), failure::getMessage);
      assertEquals(0, rootKey.health().reinitializations());
      assertEquals(1, rootKey.health().consecutiveFailures());
      module.heal();
      assertRecovers(rootKey, wrapped);
    }
  }

  /** PKR-19. */
  @Test
  void anotherKeyInTheSamePlace_neverWraps() {
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey wrapped = wrap(rootKey);
      module.replaceKeys();
      module.closeAllSessions();
      assertFails(NOT_FOUND, () -> wrap(rootKey));
      assertFails(NOT_FOUND, () -> assertOpens(rootKey, wrapped));
    }
  }

  @Test
  void aBadTag_isTheCiphertextsFaultWhateverTheModuleCallsIt() {
    for (ReturnCode code :
        List.of(
            ReturnCode.CKR_GENERAL_ERROR,
            ReturnCode.CKR_ENCRYPTED_DATA_INVALID,
            ReturnCode.CKR_AEAD_DECRYPT_FAILED,
            ReturnCode.CKR_DATA_INVALID,
            ReturnCode.CKR_FUNCTION_FAILED,
            ReturnCode.CKR_DEVICE_ERROR)) {
      module.badTag = code.code();
      module.destroyKeys();
      try (Pkcs11RootKey rootKey = create()) {
        WrappedKey wrapped = wrap(rootKey);
        assertFails(
            INVALID_CIPHERTEXT, () -> rootKey.unwrap(wrapped, EncryptionContext.of("x", "y")));
        assertOpens(rootKey, wrapped);
        assertEquals(0, rootKey.health().reinitializations(), code::name);
      }
    }
  }

  @Test
  void aFailureThatPasses_isNotBlamedOnTheCiphertext() {
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey wrapped = wrap(rootKey);
      failOnce(CkFunction.C_Decrypt, ReturnCode.CKR_GENERAL_ERROR);
      assertOpens(rootKey, wrapped);
    }
  }

  @Test
  void aModuleThatOthersInitialized_isNeverFinalized() {
    module.initialize(null);
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey wrapped = wrap(rootKey);
      module.failing(CkFunction.C_DecryptInit, ReturnCode.CKR_DEVICE_ERROR.code());
      RootKeyException failure = assertFails(UNAVAILABLE, () -> assertOpens(rootKey, wrapped));
      assertTrue(failure.getMessage().contains("somebody else"), failure::getMessage);
      module.heal();
      assertRecovers(rootKey, wrapped);
    }
    assertEquals(0, module.calls(CkFunction.C_Finalize));
  }

  @Test
  void aModuleDeclaredShared_isNeverFinalized() {
    config = config.accepting(Concession.SHARED_MODULE);
    try (Pkcs11RootKey rootKey = create()) {
      module.closeAllSessions();
      assertOpens(rootKey, wrap(rootKey));
    }
    assertEquals(0, module.calls(CkFunction.C_Finalize));
  }

  @Test
  void theLastUser_finalizesTheModule() {
    Pkcs11RootKey first = create();
    Pkcs11RootKey second = open();
    int before = module.calls(CkFunction.C_Finalize);
    first.close();
    assertEquals(before, module.calls(CkFunction.C_Finalize));
    assertOpens(second, wrap(second));
    second.close();
    assertEquals(before + 1, module.calls(CkFunction.C_Finalize));
    assertEquals(0, module.openSessions());
  }

  @Test
  void aTokenWithFewSessions_getsNoMore() throws Exception {
    module.maxSessions = 3;
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey wrapped = wrap(rootKey);
      inThreads(16, () -> assertOpens(rootKey, wrapped));
      assertTrue(module.openSessions() <= 3);
    }
  }

  @Test
  void aTokenWithoutAFreeSession_isThrottled() {
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey wrapped = wrap(rootKey);
      module.closeAllSessions();
      module.failing(CkFunction.C_OpenSession, ReturnCode.CKR_SESSION_COUNT.code());
      assertFails(THROTTLED, () -> assertOpens(rootKey, wrapped));
      module.heal();
      assertOpens(rootKey, wrapped);
    }
  }

  @Test
  void aHangingModule_holdsNobodyBeyondTheTimeout() throws Exception {
    config = config.withMaxSessions(2).withCallTimeout(Duration.ofMillis(500));
    CountDownLatch release = new CountDownLatch(1);
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey wrapped = wrap(rootKey);
      module.hanging(CkFunction.C_DecryptInit, release);
      long start = System.nanoTime();
      inThreads(8, () -> assertFails(UNAVAILABLE, () -> assertOpens(rootKey, wrapped)));
      long millis = Duration.ofNanos(System.nanoTime() - start).toMillis();
      assertTrue(millis < 5_000, () -> "took " + millis + " ms");
      assertEquals(2, rootKey.health().callsOverdue());
      assertFails(UNAVAILABLE, () -> wrap(rootKey));
      release.countDown();
      module.heal();
      assertRecovers(rootKey, wrapped);
      // The calls that were left behind end in their own time.
      while (rootKey.health().callsOverdue() > 0) {
        Thread.onSpinWait();
      }
    }
  }

  @Test
  void open_ofAModuleThatHangs_ends() {
    create().close();
    config = config.withCallTimeout(Duration.ofMillis(500));
    CountDownLatch release = new CountDownLatch(1);
    module.hanging(CkFunction.C_Initialize, release);
    assertFails(UNAVAILABLE, this::open);
    assertFails(UNAVAILABLE, this::open);
    int inside = module.calls(CkFunction.C_Initialize);
    release.countDown();
    module.heal();
    config = config.withCallTimeout(Duration.ofSeconds(10));
    try (Pkcs11RootKey rootKey = open()) {
      assertOpens(rootKey, wrap(rootKey));
      int more = module.calls(CkFunction.C_Initialize) - inside;
      assertTrue(more <= 1, () -> "what came late may be given up, once, but not " + more);
    }
  }

  @Test
  void close_whileTheModuleHangs_ends() throws Exception {
    config = config.withCallTimeout(Duration.ofMillis(500));
    CountDownLatch release = new CountDownLatch(1);
    Pkcs11RootKey rootKey = create();
    WrappedKey wrapped = wrap(rootKey);
    int finalized = module.calls(CkFunction.C_Finalize);
    module.hanging(CkFunction.C_DecryptInit, release);
    assertFails(UNAVAILABLE, () -> assertOpens(rootKey, wrapped));
    rootKey.close();
    assertEquals(finalized, module.calls(CkFunction.C_Finalize), "a call was inside");
    release.countDown();
    assertThrows(IllegalStateException.class, () -> wrap(rootKey));
  }

  @Test
  void anInterruptedCaller_leaves() {
    CountDownLatch release = new CountDownLatch(1);
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey wrapped = wrap(rootKey);
      module.hanging(CkFunction.C_DecryptInit, release);
      Thread.currentThread().interrupt();
      assertFails(UNAVAILABLE, () -> assertOpens(rootKey, wrapped));
      assertTrue(Thread.interrupted());
      release.countDown();
      module.heal();
      assertRecovers(rootKey, wrapped);
    }
  }

  @Test
  void manyCallers_causeOneRecovery() throws Exception {
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey wrapped = wrap(rootKey);
      // Often, because who comes while the module is down meets few moments that matter.
      for (int round = 1; round <= 300; round++) {
        int initializations = module.initializations();
        module.failing(
            CkFunction.C_DecryptInit,
            ReturnCode.CKR_DEVICE_ERROR.code(),
            fake -> fake.initializations() > initializations);
        inThreads(32, () -> assertOpens(rootKey, wrapped));
        assertEquals(round, rootKey.health().reinitializations());
      }
    }
  }

  private static void inThreads(int threads, Runnable body) throws Exception {
    ExecutorService pool = Executors.newFixedThreadPool(threads);
    try {
      List<Future<?>> results = new ArrayList<>();
      for (int i = 0; i < threads; i++) {
        results.add(pool.submit(body));
      }
      for (Future<?> result : results) {
        result.get();
      }
    } finally {
      pool.shutdownNow();
    }
  }
}
