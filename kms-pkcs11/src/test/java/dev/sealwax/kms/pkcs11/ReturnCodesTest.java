package dev.sealwax.kms.pkcs11;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.ACCESS_DENIED;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.INTERNAL;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.INVALID_CIPHERTEXT;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.NOT_FOUND;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.THROTTLED;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNAVAILABLE;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNSUPPORTED;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.vocabulary.RootKeyException;
import dev.sealwax.kms.vocabulary.RootKeyException.Reason;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Every code of the standard, and two of a vendor's, from every function that is called: the typed
 * failure that is expected, nothing else, and a working root key as soon as the function works.
 */
final class ReturnCodesTest extends FakeTokenTest {
  private static final long VENDOR = 0x80000001L;
  private static final long UNKNOWN = 0x7777L;

  /** Null where the call succeeds all the same. */
  private interface Outcome {
    @Nullable Reason of(ReturnCode code);
  }

  private static List<Long> codes() {
    List<Long> codes =
        new ArrayList<>(
            Stream.of(ReturnCode.values())
                .filter(code -> code != ReturnCode.OTHER)
                .map(ReturnCode::code)
                .toList());
    codes.add(VENDOR);
    codes.add(UNKNOWN);
    return codes;
  }

  /** As the table says. */
  private static @Nullable Reason table(ReturnCode code) {
    return code.reason();
  }

  private static @Nullable Reason never(ReturnCode code) {
    return null;
  }

  @Test
  void codes_areThoseOfTheStandard() {
    assertTrue(codes().size() >= 90, () -> "only " + codes().size());
    assertEquals(codes().size(), codes().stream().distinct().count());
  }

  /** Stated twice, so that the table cannot drift by itself. */
  @ParameterizedTest
  @CsvSource({
    "0x5, UNAVAILABLE", "0x6, UNAVAILABLE", "0x7, UNSUPPORTED", "0x11, ACCESS_DENIED",
    "0x30, UNAVAILABLE", "0x31, THROTTLED", "0x32, UNAVAILABLE", "0x54, UNSUPPORTED",
    "0x60, NOT_FOUND", "0x68, ACCESS_DENIED", "0x70, UNSUPPORTED", "0x71, UNSUPPORTED",
    "0x82, NOT_FOUND", "0x90, INTERNAL", "0xA0, ACCESS_DENIED", "0xA3, ACCESS_DENIED",
    "0xA4, ACCESS_DENIED", "0xB0, UNAVAILABLE", "0xB1, THROTTLED", "0xB3, UNAVAILABLE",
    "0xE0, UNAVAILABLE", "0xE1, UNAVAILABLE", "0xE2, ACCESS_DENIED", "0x101, ACCESS_DENIED",
    "0x102, ACCESS_DENIED", "0x150, INTERNAL", "0x190, UNAVAILABLE", "0x201, THROTTLED",
    "0x80000123, INTERNAL"
  })
  void table_saysWhatACodeMeans(String code, Reason reason) {
    assertEquals(reason, ReturnCode.of(Long.decode(code)).reason());
  }

  @Test
  void table_usesTheReasonsItMay() {
    assertEquals(
        List.of(NOT_FOUND, ACCESS_DENIED, THROTTLED, UNAVAILABLE, UNSUPPORTED, INTERNAL),
        Stream.of(ReturnCode.values()).map(ReturnCode::reason).distinct().sorted().toList());
  }

  @ParameterizedTest
  @EnumSource(
      value = CkFunction.class,
      names = {"C_EncryptInit", "C_Encrypt"})
  void everyCode_fromWrapping(CkFunction function) {
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey before = wrap(rootKey);
      assertOutcomes(function, rootKey, before, () -> wrap(rootKey), ReturnCodesTest::table);
    }
  }

  @Test
  void everyCode_fromDecryptInit() {
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey before = wrap(rootKey);
      assertOutcomes(
          CkFunction.C_DecryptInit,
          rootKey,
          before,
          () -> assertOpens(rootKey, before),
          ReturnCodesTest::table);
    }
  }

  /** A module that never decrypts says nothing about a ciphertext, unless it says so. */
  @Test
  void everyCode_fromDecrypt() {
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey before = wrap(rootKey);
      assertOutcomes(
          CkFunction.C_Decrypt,
          rootKey,
          before,
          () -> assertOpens(rootKey, before),
          code -> code.meansBadCiphertext() ? INVALID_CIPHERTEXT : code.reason());
    }
  }

  /** The way back after somebody ended all sessions leads through all of these. */
  @ParameterizedTest
  @EnumSource(
      value = CkFunction.class,
      names = {
        "C_GetSlotList",
        "C_GetTokenInfo",
        "C_OpenSession",
        "C_Login",
        "C_FindObjectsInit",
        "C_FindObjects",
        "C_FindObjectsFinal"
      })
  void everyCode_fromANewLogin(CkFunction function) {
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey before = wrap(rootKey);
      assertOutcomes(
          function,
          rootKey,
          before,
          () -> {
            module.closeAllSessions();
            assertOpens(rootKey, before);
          },
          code ->
              function == CkFunction.C_Login && code == ReturnCode.CKR_USER_ALREADY_LOGGED_IN
                  ? null
                  : table(code));
    }
  }

  @Test
  void everyCode_fromInitialize_isAnOutage() {
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey before = wrap(rootKey);
      assertOutcomes(
          CkFunction.C_Initialize,
          rootKey,
          before,
          () -> {
            failOnce(CkFunction.C_DecryptInit, ReturnCode.CKR_DEVICE_ERROR);
            assertOpens(rootKey, before);
          },
          code -> UNAVAILABLE);
    }
  }

  @Test
  void everyCode_fromFinalize_isAnOutageIfTheModuleStays() {
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey before = wrap(rootKey);
      assertOutcomes(
          CkFunction.C_Finalize,
          rootKey,
          before,
          () -> {
            failOnce(CkFunction.C_DecryptInit, ReturnCode.CKR_DEVICE_ERROR);
            assertOpens(rootKey, before);
          },
          code -> UNAVAILABLE);
    }
  }

  @Test
  void everyCode_fromCloseSession_isNoObstacle() {
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey before = wrap(rootKey);
      assertOutcomes(
          CkFunction.C_CloseSession,
          rootKey,
          before,
          () -> {
            failOnce(CkFunction.C_DecryptInit, ReturnCode.CKR_OPERATION_ACTIVE);
            assertOpens(rootKey, before);
          },
          ReturnCodesTest::never);
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = CkFunction.class,
      names = {"C_SignInit", "C_Sign"})
  void everyCode_fromTheCompanion(CkFunction function) {
    config = config.withMechanism(WrapMechanism.AES_CBC_HMAC);
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey before = wrap(rootKey);
      assertOutcomes(
          function, rootKey, before, () -> assertOpens(rootKey, before), ReturnCodesTest::table);
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = CkFunction.class,
      names = {"C_CreateObject", "C_WrapKey", "C_DestroyObject"})
  void everyCode_fromKeyWrapping(CkFunction function) {
    config = config.withMechanism(WrapMechanism.AES_KW);
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey before = wrap(rootKey);
      assertOutcomes(function, rootKey, before, () -> wrap(rootKey), ReturnCodesTest::table);
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = CkFunction.class,
      names = {"C_UnwrapKey", "C_GetAttributeValue"})
  void everyCode_fromKeyUnwrapping(CkFunction function) {
    config = config.withMechanism(WrapMechanism.AES_KW);
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey before = wrap(rootKey);
      assertOutcomes(
          function,
          rootKey,
          before,
          () -> assertOpens(rootKey, before),
          code ->
              function == CkFunction.C_UnwrapKey && code.meansBadCiphertext()
                  ? INVALID_CIPHERTEXT
                  : table(code));
    }
  }

  @Test
  void everyCode_fromGeneratingKeys_leavesNoKey() {
    try (Pkcs11RootKey rootKey = create();
        Pkcs11Token token = Pkcs11Token.open(config, path -> module)) {
      WrappedKey before = wrap(rootKey);
      assertOutcomes(
          CkFunction.C_GenerateKey,
          rootKey,
          before,
          () -> token.createRootKey("another", RootKeySpec.AES_256),
          ReturnCodesTest::table);
      assertEquals(1, token.keys().size());
    }
  }

  @Test
  void everyCode_fromGeneratingKeyPairs_leavesNoKey() {
    try (Pkcs11RootKey rootKey = create();
        Pkcs11Token token = Pkcs11Token.open(config, path -> module)) {
      WrappedKey before = wrap(rootKey);
      assertOutcomes(
          CkFunction.C_GenerateKeyPair,
          rootKey,
          before,
          () -> token.createRootKey("another", RootKeySpec.RSA_2048),
          ReturnCodesTest::table);
      assertEquals(1, token.keys().size());
    }
  }

  private void assertOutcomes(
      CkFunction function,
      Pkcs11RootKey rootKey,
      WrappedKey before,
      Runnable operation,
      Outcome expected) {
    for (long code : codes()) {
      module.failing(function, code);
      int called = module.calls(function);
      RootKeyException failure = failureOf(operation);
      String what = function + " returning 0x" + Long.toHexString(code);
      assertTrue(module.calls(function) > called, () -> what + " was not called");
      assertEquals(
          expected.of(ReturnCode.of(code)),
          failure == null ? null : failure.reason(),
          () -> what + ": " + failure);
      module.heal();
      Pkcs11Token.forgetRefusedPins();
      assertRecovers(rootKey, before);
    }
  }

  private static @Nullable RootKeyException failureOf(Runnable operation) {
    try {
      operation.run();
      return null;
    } catch (RootKeyException e) {
      return e;
    }
  }
}
