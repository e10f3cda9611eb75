package dev.sealwax.kms.pkcs11;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.ACCESS_DENIED;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.NOT_FOUND;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNAVAILABLE;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNSUPPORTED;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.jna.Library;
import com.sun.jna.NativeLibrary;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What goes wrong with a real module, and what then comes of it. */
@Timeout(60)
final class SoftHsmFaultsTest {
  private static final String TOKEN = "pkcs11:token=kms";
  private static final int RTLD_NOW = 2;

  @TempDir private Path directory;
  private SoftHsm hsm;

  @BeforeEach
  void makeToken() {
    hsm = new SoftHsm(directory).withToken("kms");
  }

  @AfterEach
  void forgetPins() {
    Pkcs11Token.forgetRefusedPins();
  }

  private static Pkcs11Config config(String uri) {
    return SoftHsm.config(uri).withBackOff(Duration.ofMillis(10), Duration.ofMillis(100));
  }

  private static String createKey() {
    try (Pkcs11Token token = Pkcs11Token.open(config(TOKEN))) {
      return token.createRootKey("root", RootKeySpec.AES_256).uri();
    }
  }

  private static RootKeyException assertRefused(
      RootKeyException.Reason reason, Pkcs11Config config) {
    return FakeTokenTest.assertFails(reason, () -> Pkcs11RootKey.open(config).close());
  }

  @Test
  void aWrongPin_isAccessDenied() {
    String uri = createKey();
    assertRefused(ACCESS_DENIED, config(uri).withPin("wrong-pin"::toCharArray));
    assertRefused(ACCESS_DENIED, config(uri).withPin("1"::toCharArray));
    Pkcs11RootKey.open(config(uri)).close();
  }

  @Test
  void noToken_isNotFoundAndNamesThoseThatAreThere() {
    RootKeyException failure = assertRefused(NOT_FOUND, config("pkcs11:token=absent;object=root"));
    assertTrue(failure.getMessage().contains("token 'kms'"), failure::getMessage);
  }

  @Test
  void twoTokensWithOneLabel_areToldApartBySerial() {
    String uri = createKey();
    String serial;
    try (Pkcs11RootKey rootKey = Pkcs11RootKey.open(config(uri))) {
      serial = onlyTokenSerial();
      FakeTokenTest.assertOpens(rootKey, FakeTokenTest.wrap(rootKey));
    }
    hsm.withToken("kms");
    RootKeyException failure = assertRefused(NOT_FOUND, config(uri));
    assertTrue(failure.getMessage().contains("serial"), failure::getMessage);
    Pkcs11RootKey.open(config("pkcs11:token=kms;serial=" + serial + ";object=root")).close();
  }

  private static String onlyTokenSerial() {
    NativeCryptoki cryptoki = NativeCryptoki.load(SoftHsm.module());
    for (long slot : cryptoki.slots()) {
      TokenInfo info = cryptoki.tokenInfo(slot);
      if (info.label().equals("kms")) {
        return info.serial();
      }
    }
    throw new AssertionError("no token");
  }

  @Test
  void noKey_isNotFound() {
    assertRefused(NOT_FOUND, config(TOKEN + ";object=root"));
    createKey();
    assertRefused(NOT_FOUND, config(TOKEN + ";object=other"));
    assertRefused(NOT_FOUND, config(TOKEN + ";object=root;id=%01"));
  }

  @Test
  void versionsUnderOneLabel_needAnId() {
    String first = createKey();
    Pkcs11RootKey.open(config(TOKEN + ";object=root")).close();
    String second;
    try (Pkcs11Token token = Pkcs11Token.open(config(TOKEN))) {
      second = token.rotateRootKey("root", RootKeySpec.AES_256).uri();
    }
    RootKeyException failure = assertRefused(NOT_FOUND, config(TOKEN + ";object=root"));
    assertTrue(failure.getMessage().contains("id=%"), failure::getMessage);
    WrappedKey old;
    try (Pkcs11RootKey before = Pkcs11RootKey.open(config(first))) {
      old = FakeTokenTest.wrap(before);
    }
    try (Pkcs11RootKey after = Pkcs11RootKey.open(config(second));
        Pkcs11RootKey still = Pkcs11RootKey.open(config(first))) {
      FakeTokenTest.assertOpens(after, old);
      WrappedKey fresh = FakeTokenTest.wrap(after);
      assertEquals(after.currentKeyId(), fresh.rootKeyId());
      FakeTokenTest.assertOpens(still, fresh);
    }
  }

  /** PKR-7: SoftHSM has OAEP with SHA-1 only, and lists it as OAEP. */
  @Test
  void oaepWithSha1_isUsedOnRequestOnly() {
    try (Pkcs11Token token = Pkcs11Token.open(config(TOKEN))) {
      RootKeyException failure =
          FakeTokenTest.assertFails(
              UNSUPPORTED, () -> token.createRootKey("root", RootKeySpec.RSA_2048));
      assertTrue(failure.getMessage().contains("RSA_OAEP_SHA256"), failure::getMessage);
      assertEquals(0, token.keys().size(), "what does not serve is not left behind");
    }
  }

  /** PKR-14: public key objects are not looked at; here there are none. */
  @Test
  void publicKeys_areReadOffThePrivateOnes() {
    Pkcs11Config allowing = config(TOKEN).accepting(Concession.OAEP_SHA1);
    String uri;
    try (Pkcs11Token token = Pkcs11Token.open(allowing)) {
      uri = token.createRootKey("root", RootKeySpec.RSA_2048).uri();
    }
    inSession(
        session -> {
          long[] handles = session.find(new Template().number(Ck.CKA_CLASS, Ck.CKO_PUBLIC_KEY), 9);
          for (long handle : handles) {
            session.destroyObject(handle);
          }
          assertEquals(2, handles.length);
          return 0L;
        });
    try (Pkcs11RootKey rootKey = Pkcs11RootKey.open(config(uri).accepting(Concession.OAEP_SHA1))) {
      FakeTokenTest.assertOpens(rootKey, FakeTokenTest.wrap(rootKey));
    }
  }

  /** PKR-7: an old version of another kind and mechanism, as after a move from RSA to AES. */
  @Test
  void aVersionOfAnotherKind_unwraps() {
    String rsa;
    String aes;
    try (Pkcs11Token token = Pkcs11Token.open(config(TOKEN).accepting(Concession.OAEP_SHA1))) {
      rsa = token.createRootKey("root", RootKeySpec.RSA_2048).uri();
      aes = token.rotateRootKey("root", RootKeySpec.AES_256).uri();
    }
    WrappedKey old;
    try (Pkcs11RootKey before = Pkcs11RootKey.open(config(rsa).accepting(Concession.OAEP_SHA1))) {
      assertEquals(WrapMechanism.RSA_OAEP_SHA1, before.mechanism());
      old = FakeTokenTest.wrap(before);
    }
    try (Pkcs11RootKey after = Pkcs11RootKey.open(config(aes).accepting(Concession.OAEP_SHA1))) {
      assertEquals(WrapMechanism.AES_GCM, after.mechanism());
      FakeTokenTest.assertOpens(after, old);
    }
    try (Pkcs11RootKey strict = Pkcs11RootKey.open(config(aes))) {
      FakeTokenTest.assertFails(
          RootKeyException.Reason.INVALID_CIPHERTEXT, () -> FakeTokenTest.assertOpens(strict, old));
    }
  }

  @Test
  void twoKeysWithOneId_areAmbiguous() {
    generate(aes("twin").flag(Ck.CKA_ENCRYPT, true).flag(Ck.CKA_DECRYPT, true));
    generate(aes("twin").flag(Ck.CKA_ENCRYPT, true).flag(Ck.CKA_DECRYPT, true));
    assertRefused(NOT_FOUND, config(TOKEN + ";object=twin;id=%07"));
  }

  @Test
  void aKeyWithoutTheUse_isAccessDenied() {
    generate(
        aes("signs")
            .flag(Ck.CKA_ENCRYPT, false)
            .flag(Ck.CKA_DECRYPT, false)
            .flag(Ck.CKA_WRAP, false)
            .flag(Ck.CKA_UNWRAP, false));
    RootKeyException failure = assertRefused(ACCESS_DENIED, config(TOKEN + ";object=signs"));
    assertTrue(
        failure.getMessage().contains("CKR_KEY_FUNCTION_NOT_PERMITTED"), failure::getMessage);
  }

  @Test
  void aKeyThatTheTokenHandsOut_isRefusedUnlessAccepted() {
    generate(
        new Template()
            .number(Ck.CKA_CLASS, Ck.CKO_SECRET_KEY)
            .number(Ck.CKA_KEY_TYPE, Ck.CKK_AES)
            .flag(Ck.CKA_TOKEN, true)
            .flag(Ck.CKA_SENSITIVE, true)
            .flag(Ck.CKA_EXTRACTABLE, true)
            .text(Ck.CKA_LABEL, "loose")
            .bytes(Ck.CKA_ID, new byte[] {9})
            .number(Ck.CKA_VALUE_LEN, 32)
            .flag(Ck.CKA_ENCRYPT, true)
            .flag(Ck.CKA_DECRYPT, true));
    Pkcs11Config loose = config(TOKEN + ";object=loose");
    assertRefused(ACCESS_DENIED, loose);
    try (Pkcs11RootKey rootKey = Pkcs11RootKey.open(loose.accepting(Concession.EXTRACTABLE_KEYS))) {
      assertEquals(KeyProtection.EXTRACTABLE, rootKey.protection());
      FakeTokenTest.assertOpens(rootKey, FakeTokenTest.wrap(rootKey));
    }
  }

  /** A key that was once outside is another thing than one that never was. */
  @Test
  void anImportedKey_isReportedAsSuch() {
    byte[] value = new byte[32];
    inSession(
        session ->
            session.createObject(
                aes("imported")
                    .bytes(Ck.CKA_VALUE, value)
                    .flag(Ck.CKA_ENCRYPT, true)
                    .flag(Ck.CKA_DECRYPT, true)));
    try (Pkcs11RootKey rootKey = Pkcs11RootKey.open(config(TOKEN + ";object=imported"))) {
      assertEquals(KeyProtection.KEPT_INSIDE, rootKey.protection());
    }
    createKey();
    try (Pkcs11RootKey rootKey = Pkcs11RootKey.open(config(TOKEN + ";object=root"))) {
      assertEquals(KeyProtection.NEVER_OUTSIDE, rootKey.protection());
    }
  }

  @Test
  void anRsaKeyWithoutCompanion_isRefused() {
    inSession(
        session ->
            session.generateKeyPair(
                new Mechanism.Plain(Ck.CKM_RSA_PKCS_KEY_PAIR_GEN),
                new Template()
                    .number(Ck.CKA_MODULUS_BITS, 2048)
                    .bytes(Ck.CKA_PUBLIC_EXPONENT, new byte[] {1, 0, 1}),
                new Template()
                    .flag(Ck.CKA_TOKEN, true)
                    .flag(Ck.CKA_PRIVATE, true)
                    .flag(Ck.CKA_SENSITIVE, true)
                    .flag(Ck.CKA_EXTRACTABLE, false)
                    .flag(Ck.CKA_DECRYPT, true)
                    .text(Ck.CKA_LABEL, "lonely")
                    .bytes(Ck.CKA_ID, new byte[] {5})));
    RootKeyException failure =
        assertRefused(
            UNSUPPORTED, config(TOKEN + ";object=lonely").accepting(Concession.OAEP_SHA1));
    assertTrue(failure.getMessage().contains("sealwax-author-05"), failure::getMessage);
  }

  private static Template aes(String label) {
    return new Template()
        .number(Ck.CKA_CLASS, Ck.CKO_SECRET_KEY)
        .number(Ck.CKA_KEY_TYPE, Ck.CKK_AES)
        .flag(Ck.CKA_TOKEN, true)
        .flag(Ck.CKA_PRIVATE, true)
        .flag(Ck.CKA_SENSITIVE, true)
        .flag(Ck.CKA_EXTRACTABLE, false)
        .text(Ck.CKA_LABEL, label)
        .bytes(Ck.CKA_ID, new byte[] {7});
  }

  private static void generate(Template template) {
    if (template.attributes().stream().noneMatch(a -> a.type() == Ck.CKA_VALUE_LEN)) {
      template.number(Ck.CKA_VALUE_LEN, 32);
    }
    inSession(session -> session.generateKey(new Mechanism.Plain(Ck.CKM_AES_KEY_GEN), template));
  }

  private static void inSession(TokenConnection.Work<Long> work) {
    try (TokenConnection connection =
        TokenConnection.open(config(TOKEN), /* writable= */ true, NativeCryptoki::load)) {
      connection.callOnce("test", work);
    }
  }

  @Test
  void aKeyDestroyedByAnotherProcess_isNotFoundForGood() {
    try (Pkcs11RootKey rootKey = Pkcs11RootKey.open(config(createKey()))) {
      WrappedKey wrapped = FakeTokenTest.wrap(rootKey);
      Map<String, String> environment = new HashMap<>(hsm.environment());
      environment.put("TOKEN_PIN", SoftHsm.PIN);
      Tools.run(
          environment,
          Path.of(System.getProperty("java.home"), "bin", "java").toString(),
          "-cp",
          System.getProperty("java.class.path"),
          DestroyKeys.class.getName(),
          SoftHsm.module().toString(),
          TOKEN,
          "root");
      FakeTokenTest.assertFails(NOT_FOUND, () -> FakeTokenTest.assertOpens(rootKey, wrapped));
      FakeTokenTest.assertFails(NOT_FOUND, () -> FakeTokenTest.wrap(rootKey));
      assertEquals(CircuitState.CLOSED, rootKey.health().circuit());
    }
  }

  /** All modules define the same names; one must not be called in the place of another. */
  @Test
  void twoModules_haveNothingInCommon() throws IOException {
    NativeCryptoki first = NativeCryptoki.load(SoftHsm.module());
    first.initialize(null);
    try {
      Path copy = Files.copy(SoftHsm.module(), directory.resolve("other.so"));
      NativeCryptoki second = NativeCryptoki.load(copy);
      second.initialize(null);
      second.finish();
      assertTrue(first.slots().length > 0, "still initialized");
    } finally {
      first.finish();
    }
  }

  @Test
  void sessionsClosedByOthers_areReplaced() {
    try (Pkcs11RootKey rootKey = Pkcs11RootKey.open(config(createKey()))) {
      WrappedKey wrapped = FakeTokenTest.wrap(rootKey);
      NativeCryptoki cryptoki = NativeCryptoki.load(SoftHsm.module());
      for (long slot : cryptoki.slots()) {
        NativeLibrary.getInstance(realModule(), Map.of(Library.OPTION_OPEN_FLAGS, RTLD_NOW))
            .getFunction("C_CloseAllSessions")
            .invokeLong(new Object[] {slot});
      }
      FakeTokenTest.assertOpens(rootKey, wrapped);
      assertEquals(0, rootKey.health().reinitializations());
    }
  }

  private static String realModule() {
    try {
      return SoftHsm.module().toRealPath().toString();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Test
  void aTokenDirectoryRemovedAndRestored_heals() throws IOException {
    try (Pkcs11RootKey rootKey = Pkcs11RootKey.open(config(createKey()))) {
      WrappedKey wrapped = FakeTokenTest.wrap(rootKey);
      Path away = directory.resolve("away");
      Files.move(hsm.tokens(), away);
      FakeTokenTest.assertFails(UNAVAILABLE, () -> FakeTokenTest.assertOpens(rootKey, wrapped));
      FakeTokenTest.assertFails(UNAVAILABLE, () -> FakeTokenTest.wrap(rootKey));
      Files.move(away, hsm.tokens());
      FakeTokenTest.assertRecovers(rootKey, wrapped);
      assertEquals(CircuitState.CLOSED, rootKey.health().circuit());
    }
  }

  @Test
  void aTokenInitializedAnew_hasLostItsKeys() {
    try (Pkcs11RootKey rootKey = Pkcs11RootKey.open(config(createKey()))) {
      WrappedKey wrapped = FakeTokenTest.wrap(rootKey);
      hsm.reinitialize("kms");
      RootKeyException failure =
          FakeTokenTest.assertFails(NOT_FOUND, () -> FakeTokenTest.assertOpens(rootKey, wrapped));
      assertTrue(failure.getMessage().contains("no key"), failure::getMessage);
    }
  }

  @Test
  void aWrongModule_isRefused() throws IOException {
    Path missing = directory.resolve("missing.so");
    assertRefused(NOT_FOUND, Pkcs11Config.of(missing, TOKEN));
    Path text = Files.writeString(directory.resolve("text.so"), "not a library");
    assertRefused(UNSUPPORTED, Pkcs11Config.of(text, TOKEN));
    // A library, and no PKCS#11 module.
    assertRefused(UNSUPPORTED, Pkcs11Config.of(Tools.library("libc.so.6"), TOKEN));
  }

  @Test
  void aModuleWithoutItsConfiguration_isUnavailableAndComesBack() {
    String uri = createKey();
    NativeEnvironment.set("SOFTHSM2_CONF", directory.resolve("absent").toString());
    assertRefused(UNAVAILABLE, config(uri));
    NativeEnvironment.set("SOFTHSM2_CONF", hsm.environment().get("SOFTHSM2_CONF"));
    Pkcs11RootKey.open(config(uri)).close();
  }

  @Test
  void oneModuleUnderTwoNames_isOne() throws IOException {
    String uri = createKey();
    Path link = Files.createSymbolicLink(directory.resolve("link.so"), SoftHsm.module());
    try (Pkcs11RootKey first = Pkcs11RootKey.open(config(uri));
        Pkcs11RootKey second =
            Pkcs11RootKey.open(Pkcs11Config.of(link, uri).withPin(SoftHsm.PIN::toCharArray))) {
      FakeTokenTest.assertOpens(second, FakeTokenTest.wrap(first));
    } finally {
      Files.delete(link);
    }
  }
}
