package dev.sealwax.kms.pkcs11;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.INVALID_CIPHERTEXT;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNAVAILABLE;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNSUPPORTED;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Which mechanism works with a key is for the key and the token to say, not for a wrapped key. */
final class PinnedMechanismTest extends FakeTokenTest {
  private static WrappedKey forged(Pkcs11RootKey rootKey, WrapMechanism mechanism) {
    byte[] keyId = WrappedBlob.decode(wrap(rootKey).ciphertext()).keyId();
    int part =
        switch (mechanism) {
          case AES_GCM -> 12 + 32 + 16;
          case AES_CBC_HMAC -> 48;
          default -> 40;
        };
    int authenticator = mechanism == WrapMechanism.AES_CBC_HMAC ? 32 : 0;
    int sealed = mechanism.usesSeed() ? 80 : 0;
    byte[] blob =
        new WrappedBlob(mechanism, keyId, new byte[part], new byte[authenticator], new byte[sealed])
            .encode();
    return WrappedKey.of(rootKey.currentKeyId(), blob);
  }

  @Test
  void aKeyWithoutCompanion_neverDecryptsByCbc() {
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey forged = forged(rootKey, WrapMechanism.AES_CBC_HMAC);
      assertFails(INVALID_CIPHERTEXT, () -> rootKey.unwrap(forged, CONTEXT).close());
    }
    config = config.withMechanism(WrapMechanism.AES_CBC_HMAC);
    assertFails(UNSUPPORTED, () -> open().close());
  }

  @Test
  void aKeyWithCompanion_isForCbcAlone() {
    Pkcs11Config any = config;
    config = any.withMechanism(WrapMechanism.AES_CBC_HMAC);
    create().close();
    config = any;
    try (Pkcs11RootKey rootKey = open()) {
      assertEquals(WrapMechanism.AES_CBC_HMAC, rootKey.mechanism());
      assertOpens(rootKey, wrap(rootKey));
      WrappedKey forged = forged(rootKey, WrapMechanism.AES_GCM);
      int before = module.calls(CkFunction.C_EncryptInit);
      assertFails(INVALID_CIPHERTEXT, () -> rootKey.unwrap(forged, CONTEXT).close());
      assertEquals(before, module.calls(CkFunction.C_EncryptInit));
    }
    config = any.withMechanism(WrapMechanism.AES_GCM);
    assertFails(UNSUPPORTED, () -> open().close());
  }

  @ParameterizedTest
  @EnumSource(
      value = ReturnCode.class,
      names = {
        "CKR_HOST_MEMORY",
        "CKR_GENERAL_ERROR",
        "CKR_FUNCTION_FAILED",
        "CKR_DEVICE_ERROR",
        "CKR_DEVICE_MEMORY",
        "CKR_SESSION_COUNT",
        "OTHER"
      })
  void aFailureOfTheToken_doesNotMakeAnOlderVersionsKeysInvalid(ReturnCode code) {
    Pkcs11KeyInfo second;
    WrappedKey wrapped;
    try (Pkcs11RootKey first = create()) {
      wrapped = wrap(first);
    }
    try (Pkcs11Token token = Pkcs11Token.open(config, path -> module)) {
      second = token.rotateRootKey("root", RootKeySpec.AES_256);
    }
    config = config.withKey("root", Pkcs11Uri.parse(second.uri()).id());
    try (Pkcs11RootKey rootKey = open()) {
      module.failing(CkFunction.C_EncryptInit, code.code());
      RootKeyException failure =
          assertThrows(RootKeyException.class, () -> rootKey.unwrap(wrapped, CONTEXT).close());
      assertEquals(code.reason(), failure.reason(), failure::getMessage);
      module.heal();
      assertRecovers(rootKey, wrapped);
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = ReturnCode.class,
      names = {"CKR_GENERAL_ERROR", "CKR_FUNCTION_FAILED", "CKR_DEVICE_MEMORY"})
  void aFailureOfTheToken_doesNotChooseTheNextMechanism(ReturnCode code) {
    create().close();
    module.failing(CkFunction.C_EncryptInit, code.code());
    RootKeyException failure = assertThrows(RootKeyException.class, () -> open().close());
    assertEquals(code.reason(), failure.reason());
    module.heal();
    long end = System.nanoTime() + 1_000_000_000L;
    while (true) {
      try (Pkcs11RootKey rootKey = open()) {
        assertEquals(WrapMechanism.AES_GCM, rootKey.mechanism());
        return;
      } catch (RootKeyException e) {
        assertEquals(UNAVAILABLE, e.reason());
        assertTrue(System.nanoTime() < end, "does not recover");
      }
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = ReturnCode.class,
      names = {"CKR_GENERAL_ERROR", "CKR_FUNCTION_FAILED", "CKR_DEVICE_ERROR", "OTHER"})
  void aMechanismTheModuleFailsAt_isNoOutage(ReturnCode code) {
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey genuine = wrap(rootKey);
      WrappedKey forged = forged(rootKey, WrapMechanism.AES_KW);
      module.failing(CkFunction.C_CreateObject, code.code());
      int before = module.initializations();
      for (int i = 0; i < 3; i++) {
        assertFails(INVALID_CIPHERTEXT, () -> rootKey.unwrap(forged, CONTEXT).close());
      }
      assertEquals(before, module.initializations());
      assertEquals(CircuitState.CLOSED, rootKey.health().circuit());
      assertOpens(rootKey, genuine);
    }
  }

  /** The second of the self-test's three decryptions is that of what was altered. */
  @ParameterizedTest
  @EnumSource(
      value = ReturnCode.class,
      names = {"CKR_SESSION_CLOSED", "CKR_DEVICE_REMOVED"})
  void aFailureAtTheRightMoment_isNoRefusalOfWhatWasAltered(ReturnCode code) {
    config = config.withMechanism(WrapMechanism.AES_GCM);
    create().close();
    module.ignoresAssociatedData = true;
    int before = module.calls(CkFunction.C_Decrypt);
    module.failing(
        CkFunction.C_Decrypt,
        code.code(),
        fake -> (fake.calls(CkFunction.C_Decrypt) - before) % 3 != 2);
    List<RootKeyException.Reason> failed = List.of(UNSUPPORTED, UNAVAILABLE);
    RootKeyException failure = null;
    try (Pkcs11RootKey rootKey = open()) {
      WrappedKey wrapped = wrap(rootKey);
      EncryptionContext other = EncryptionContext.of("keyset", "others");
      failure = assertThrows(RootKeyException.class, () -> rootKey.unwrap(wrapped, other).close());
    } catch (RootKeyException e) {
      failure = e;
    }
    assertTrue(failed.contains(failure.reason()), failure::getMessage);
  }
}
