package dev.sealwax.kms.pkcs11;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.ACCESS_DENIED;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.INVALID_CIPHERTEXT;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.NOT_FOUND;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNSUPPORTED;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.rootkey.RootKeyId;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** Which mechanism is chosen, by what a module can do and by what it only says. */
final class NegotiationTest extends FakeTokenTest {
  private static final int MECHANISM_POS = 1;

  /** PKR-16: the order, as the module loses one mechanism after the other. */
  @Test
  void theFirstMechanismThatWorks_isChosen() {
    List<WrapMechanism> chosen = new ArrayList<>();
    List<Long> left = new ArrayList<>(module.mechanisms);
    for (long lost : new long[] {Ck.CKM_AES_GCM, Ck.CKM_AES_KEY_WRAP}) {
      chosen.add(chooseOn(left));
      left.remove(lost);
    }
    chosen.add(chooseOn(left));
    assertEquals(
        List.of(WrapMechanism.AES_GCM, WrapMechanism.AES_KW, WrapMechanism.AES_CBC_HMAC), chosen);
    left.remove(Ck.CKM_AES_CBC);
    module.mechanisms = left;
    module.destroyKeys();
    RootKeyException failure = assertFails(UNSUPPORTED, this::create);
    assertTrue(failure.getMessage().contains("CKR_MECHANISM_INVALID"), failure::getMessage);
    assertEquals(List.of(), keys(), "what does not serve is not left behind");
  }

  private WrapMechanism chooseOn(List<Long> mechanisms) {
    module.mechanisms = List.copyOf(mechanisms);
    module.destroyKeys();
    try (Pkcs11RootKey rootKey = create()) {
      assertOpens(rootKey, wrap(rootKey));
      return rootKey.mechanism();
    }
  }

  private List<Pkcs11KeyInfo> keys() {
    try (Pkcs11Token token = Pkcs11Token.open(config, path -> module)) {
      return token.keys();
    }
  }

  /** PKR-15: a lock that opens for everybody. */
  @Test
  void aModuleThatIgnoresAssociatedData_isNotTrustedWithGcm() {
    module.ignoresAssociatedData = true;
    try (Pkcs11RootKey rootKey = create()) {
      assertEquals(WrapMechanism.AES_KW, rootKey.mechanism());
    }
    module.destroyKeys();
    module.ignoresAssociatedData = false;
    config = config.withMechanism(WrapMechanism.AES_GCM);
    create().close();
    module.ignoresAssociatedData = true;
    RootKeyException failure = assertFails(UNSUPPORTED, this::open);
    assertTrue(failure.getMessage().contains("accepts what was altered"), failure::getMessage);
  }

  /** PKR-15: a fault of the moment is no refusal. */
  @Test
  void aModuleThatFailsWhenItShouldRefuse_isNotTrustedWithGcm() {
    create().close();
    module.ignoresAssociatedData = true;
    config = config.withMechanism(WrapMechanism.AES_GCM);
    int calls = module.calls(CkFunction.C_Decrypt);
    // The first decryption opens the probe, the second is of what was altered.
    module.failing(
        CkFunction.C_Decrypt,
        ReturnCode.CKR_FUNCTION_FAILED.code(),
        fake -> fake.calls(CkFunction.C_Decrypt) != calls + 2);
    RootKeyException failure = assertFails(UNSUPPORTED, this::open);
    assertTrue(failure.getMessage().contains("accepts what was altered"), failure::getMessage);
  }

  @Test
  void aMechanismThatIsLackedByAGeneralCode_isLeftOut() {
    module.mechanisms = List.of(Ck.CKM_AES_KEY_WRAP);
    create().close();
    module.failing(CkFunction.C_EncryptInit, ReturnCode.CKR_GENERAL_ERROR.code());
    try (Pkcs11RootKey rootKey = open()) {
      assertEquals(WrapMechanism.AES_KW, rootKey.mechanism());
      assertOpens(rootKey, wrap(rootKey));
    }
    module.heal();
    failOnce(CkFunction.C_WrapKey, ReturnCode.CKR_GENERAL_ERROR);
    try (Pkcs11RootKey rootKey = open()) {
      assertEquals(WrapMechanism.AES_KW, rootKey.mechanism());
    }
  }

  @Test
  void aKeyThatWantsThePinEachTime_isRefusedByName() {
    create().close();
    module.setAttribute(Ck.CKA_ALWAYS_AUTHENTICATE, new byte[] {1});
    RootKeyException failure = assertFails(UNSUPPORTED, this::open);
    assertTrue(failure.getMessage().contains("CKA_ALWAYS_AUTHENTICATE"), failure::getMessage);
  }

  @Test
  void aKeyWhoseTestEndsUnexpectedly_isNotLeftBehind() {
    module.mad = CkFunction.C_EncryptInit;
    assertThrows(IllegalStateException.class, this::create);
    module.mad = null;
    assertEquals(List.of(), keys());
  }

  @Test
  void aLabel_isLookedForWithoutReadingEveryKey() {
    create().close();
    try (Pkcs11Token token = Pkcs11Token.open(config, path -> module)) {
      int before = module.calls(CkFunction.C_GetAttributeValue);
      assertFails(UNSUPPORTED, () -> token.createRootKey("root", RootKeySpec.AES_256));
      assertEquals(before, module.calls(CkFunction.C_GetAttributeValue));
    }
  }

  /** PKR-9. */
  @Test
  void anIvThatTheModuleChose_isRecorded() {
    module.ownIv = HexFormat.of().parseHex("0102030405060708090a0b0c");
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey wrapped = wrap(rootKey);
      assertArrayEquals(
          module.ownIv, Arrays.copyOfRange(wrapped.ciphertext(), 3 + 16, 3 + 16 + 12));
      assertOpens(rootKey, wrapped);
    }
  }

  /** PKR-5: a wrapped key opens by its own mechanism, which a key was made for and no other. */
  @Test
  void aWrappedKey_opensByTheMechanismItNames() {
    Pkcs11Config undecided = config;
    config = undecided.withMechanism(WrapMechanism.AES_CBC_HMAC);
    WrappedKey old;
    try (Pkcs11RootKey rootKey = create()) {
      old = wrap(rootKey);
      assertEquals(6, old.ciphertext()[MECHANISM_POS]);
    }
    config = undecided;
    try (Pkcs11RootKey rootKey = open()) {
      assertOpens(rootKey, old);
      assertEquals(6, wrap(rootKey).ciphertext()[MECHANISM_POS]);
    }
    config = undecided.withMechanism(WrapMechanism.AES_GCM);
    assertFails(UNSUPPORTED, this::open);
  }

  /**
   * PKR-4: a mechanism that does not work here is an invalid wrapped key, and costs no test each.
   */
  @Test
  void aMechanismThatDoesNotWork_isTriedOncePerLogin() {
    try (Pkcs11RootKey rootKey = create()) {
      byte[] id = HexFormat.of().parseHex(keys().get(0).idHex());
      byte[] blob =
          new WrappedBlob(WrapMechanism.AES_KWP, id, new byte[40], new byte[0], new byte[48 + 32])
              .encode();
      WrappedKey forged = WrappedKey.of(rootKey.currentKeyId(), blob);
      assertFails(INVALID_CIPHERTEXT, () -> rootKey.unwrap(forged, CONTEXT));
      int before = module.calls(CkFunction.C_EncryptInit);
      assertFails(INVALID_CIPHERTEXT, () -> rootKey.unwrap(forged, CONTEXT));
      assertEquals(before, module.calls(CkFunction.C_EncryptInit));
    }
  }

  /** PKR-13: the token is not asked to decrypt what it did not make. */
  @Test
  void aForgedSeed_neverReachesTheKey() {
    config = config.withMechanism(WrapMechanism.AES_CBC_HMAC);
    try (Pkcs11RootKey rootKey = create()) {
      byte[] blob = wrap(rootKey).ciphertext();
      blob[3 + 16 + 2] ^= 1;
      int before = module.calls(CkFunction.C_DecryptInit);
      assertFails(
          INVALID_CIPHERTEXT,
          () -> rootKey.unwrap(WrappedKey.of(rootKey.currentKeyId(), blob), CONTEXT));
      assertEquals(before, module.calls(CkFunction.C_DecryptInit));
    }
  }

  /** PKR-12. */
  @Test
  void aRootKeyWithoutItsCompanion_isNotUsed() {
    config = config.withMechanism(WrapMechanism.AES_CBC_HMAC);
    create().close();
    assertEquals(
        List.of("root", "sealwax-author-" + keyNamed("root").idHex()),
        keys().stream().map(Pkcs11KeyInfo::label).sorted().toList());
    try (TokenConnection connection =
        TokenConnection.open(config, /* writable= */ true, path -> module)) {
      connection.callOnce(
          "destroy companion",
          session -> {
            Template template = new Template().number(Ck.CKA_KEY_TYPE, Ck.CKK_GENERIC_SECRET);
            session.destroyObject(session.find(template, 1)[0]);
            return 1;
          });
    }
    RootKeyException failure = assertFails(UNSUPPORTED, this::open);
    assertTrue(failure.getMessage().contains("sealwax-author-"), failure::getMessage);
  }

  private Pkcs11KeyInfo keyNamed(String label) {
    return keys().stream().filter(key -> key.label().equals(label)).findFirst().orElseThrow();
  }

  /** PKR-18. */
  @Test
  void aTokenThatHandsOutItsKeys_isRefusedUnlessAccepted() {
    module.extractable = true;
    assertFails(ACCESS_DENIED, this::create);
    assertEquals(List.of(), keys());
    config = config.accepting(Concession.EXTRACTABLE_KEYS);
    try (Pkcs11RootKey rootKey = create()) {
      assertEquals(KeyProtection.EXTRACTABLE, rootKey.protection());
    }
  }

  /** PKR-17. */
  @Test
  void aKey_getsNoUseItDoesNotNeed() {
    create().close();
    assertEquals(List.of(true, true, false, false), usesOf("root"));
    module.destroyKeys();
    module.mechanisms = List.of(Ck.CKM_AES_KEY_WRAP);
    create().close();
    assertEquals(List.of(false, false, true, true), usesOf("root"));
  }

  /** What is not said is left to the token; PKR-17 does not leave it. */
  @Test
  void usesThatAreNotNeeded_areDeniedByName() {
    config = config.withMechanism(WrapMechanism.AES_CBC_HMAC);
    create().close();
    String companion = "sealwax-author-" + keyNamed("root").idHex();
    for (long use : new long[] {Ck.CKA_ENCRYPT, Ck.CKA_DECRYPT, Ck.CKA_WRAP, Ck.CKA_UNWRAP}) {
      assertArrayEquals(new byte[] {0}, attribute(companion, use));
    }
    assertArrayEquals(new byte[] {0}, attribute(companion, Ck.CKA_DERIVE));
    assertArrayEquals(new byte[] {0}, attribute("root", Ck.CKA_DERIVE));
  }

  @Test
  void aTokenThatDoesNotKnowAUse_makesKeysAllTheSame() {
    module.unwantedAttribute = Ck.CKA_DERIVE;
    create().close();
    assertEquals(List.of(true, true, false, false), usesOf("root"));
  }

  private byte @Nullable [] attribute(String label, long type) {
    try (TokenConnection connection =
        TokenConnection.open(config, /* writable= */ false, path -> module)) {
      return connection.call(
          "read attribute",
          session ->
              session.attribute(
                  session.find(new Template().text(Ck.CKA_LABEL, label), 1)[0], type));
    }
  }

  private List<Boolean> usesOf(String label) {
    try (TokenConnection connection =
        TokenConnection.open(config, /* writable= */ false, path -> module)) {
      return connection.call(
          "read uses",
          session -> {
            long handle = session.find(new Template().text(Ck.CKA_LABEL, label), 1)[0];
            List<Boolean> uses = new ArrayList<>();
            for (long use :
                new long[] {Ck.CKA_ENCRYPT, Ck.CKA_DECRYPT, Ck.CKA_WRAP, Ck.CKA_UNWRAP}) {
              byte[] flag = session.attribute(handle, use);
              uses.add(flag != null && flag[0] == 1);
            }
            return uses;
          });
    }
  }

  /** PKR-2. */
  @Test
  void ids_areRandomAndSixteenBytes() {
    try (Pkcs11Token token = Pkcs11Token.open(config, path -> module)) {
      Pkcs11KeyInfo first = token.createRootKey("root", RootKeySpec.AES_256);
      Pkcs11KeyInfo second = token.rotateRootKey("root", RootKeySpec.AES_256);
      assertEquals(32, first.idHex().length());
      assertNotEquals(first.idHex(), second.idHex());
      assertEquals(first.label(), second.label());
    }
  }

  /** PKR-1, PKR-3. */
  @Test
  void aWrappedKeyOfOthers_isNotFound() {
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey wrapped = wrap(rootKey);
      String id = rootKey.currentKeyId().value();
      assertTrue(id.matches("pkcs11:id=(%[0-9a-f]{2}){16}"), id);
      for (String other :
          List.of(
              "pkcs11:id=%01",
              "local:00",
              "pkcs11:token=fake",
              "pkcs11:nonsense",
              id + "%00",
              id.toUpperCase(Locale.ROOT),
              id.replace("pkcs11:id", "pkcs11:object=root;id"))) {
        WrappedKey renamed = WrappedKey.of(RootKeyId.of(other), wrapped.ciphertext());
        assertFails(NOT_FOUND, () -> rootKey.unwrap(renamed, CONTEXT));
      }
    }
  }

  /** PKR-19: a key that was found anew has to open what it protected before. */
  @Test
  void aKeyFoundAnew_isCheckedOnceForEachLogin() {
    try (Pkcs11RootKey rootKey = create()) {
      WrappedKey wrapped = wrap(rootKey);
      int before = module.calls(CkFunction.C_Decrypt);
      assertOpens(rootKey, wrapped);
      assertOpens(rootKey, wrapped);
      assertEquals(before + 2, module.calls(CkFunction.C_Decrypt));
      module.closeAllSessions();
      // One for the check; the call that met the dead session did not get as far.
      assertOpens(rootKey, wrapped);
      assertOpens(rootKey, wrapped);
      assertEquals(before + 5, module.calls(CkFunction.C_Decrypt));
    }
  }

  @Test
  void createRootKey_ofALabelThatIsTaken_isRefused() {
    create().close();
    try (Pkcs11Token token = Pkcs11Token.open(config, path -> module)) {
      assertFails(UNSUPPORTED, () -> token.createRootKey("root", RootKeySpec.AES_256));
      assertFails(NOT_FOUND, () -> token.rotateRootKey("other", RootKeySpec.AES_256));
      assertEquals(1, token.keys().size());
    }
  }
}
