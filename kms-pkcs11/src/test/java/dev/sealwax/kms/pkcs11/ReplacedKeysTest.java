package dev.sealwax.kms.pkcs11;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.NOT_FOUND;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.rootkey.SignatureAlgorithm;
import dev.sealwax.kms.rootkey.SigningKey;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

/** Key pairs that somebody exchanged while a connection was open; found by the next login. */
final class ReplacedKeysTest {
  private static final EncryptionContext CONTEXT = EncryptionContext.of("keyset", "orders");

  @TempDir private Path directory;

  private static byte[] idOf(Pkcs11KeyInfo key) {
    return HexFormat.of().parseHex(key.idHex());
  }

  /** Four pairs of RSA keys take their time on a busy machine. */
  private static Pkcs11Config patient(String uri) {
    return SoftHsm.config(uri)
        .accepting(Concession.OAEP_SHA1)
        .withCallTimeout(Duration.ofMinutes(1));
  }

  private static void exchange(TokenConnection connection, String label, byte[] id) {
    connection.callOnce(
        "exchange",
        session -> {
          for (long handle : session.find(new Template().text(Ck.CKA_LABEL, label), 4)) {
            session.destroyObject(handle);
          }
          return session.generateKeyPair(
              new Mechanism.Plain(Ck.CKM_RSA_PKCS_KEY_PAIR_GEN),
              new Template()
                  .number(Ck.CKA_CLASS, Ck.CKO_PUBLIC_KEY)
                  .flag(Ck.CKA_TOKEN, true)
                  .text(Ck.CKA_LABEL, label)
                  .bytes(Ck.CKA_ID, id)
                  .flag(Ck.CKA_VERIFY, true)
                  .number(Ck.CKA_MODULUS_BITS, 2048)
                  .bytes(Ck.CKA_PUBLIC_EXPONENT, new byte[] {1, 0, 1}),
              new Template()
                  .number(Ck.CKA_CLASS, Ck.CKO_PRIVATE_KEY)
                  .flag(Ck.CKA_TOKEN, true)
                  .flag(Ck.CKA_PRIVATE, true)
                  .flag(Ck.CKA_SENSITIVE, true)
                  .flag(Ck.CKA_EXTRACTABLE, false)
                  .flag(Ck.CKA_SIGN, true)
                  .text(Ck.CKA_LABEL, label)
                  .bytes(Ck.CKA_ID, id));
        });
  }

  private static void assertNotFound(Executable call) {
    RootKeyException failure = assertThrows(RootKeyException.class, call);
    assertEquals(NOT_FOUND, failure.reason(), failure::getMessage);
  }

  @Test
  void anotherCompanion_signsNothing() {
    new SoftHsm(directory).withToken("kms");
    Pkcs11Config token = SoftHsm.config("pkcs11:token=kms").accepting(Concession.OAEP_SHA1);
    Pkcs11KeyInfo root;
    try (Pkcs11Token writable = Pkcs11Token.open(token)) {
      root = writable.createRootKey("root", RootKeySpec.RSA_2048);
    }
    Pkcs11Config config = SoftHsm.config(root.uri()).accepting(Concession.OAEP_SHA1);
    try (Pkcs11RootKey rootKey = Pkcs11RootKey.open(config);
        TokenConnection other = TokenConnection.open(token, true, NativeCryptoki::load);
        KeyMaterial secret = KeyMaterial.copyOf(new byte[32])) {
      rootKey.wrap(secret, CONTEXT);
      exchange(other, TokenRootKey.companionLabel(idOf(root)), new byte[] {9});
      assertNotFound(() -> rootKey.wrap(secret, CONTEXT));
    }
  }

  /** The wrapped key is not bad, so nobody shall remember it as such. */
  @Test
  void aMissingCompanionOfAnOlderVersion_isNotFoundByName() {
    new SoftHsm(directory).withToken("kms");
    Pkcs11Config token = patient("pkcs11:token=kms");
    Pkcs11KeyInfo first;
    Pkcs11KeyInfo second;
    WrappedKey wrapped;
    try (Pkcs11Token writable = Pkcs11Token.open(token);
        KeyMaterial secret = KeyMaterial.copyOf(new byte[32])) {
      first = writable.createRootKey("root", RootKeySpec.RSA_2048);
      try (Pkcs11RootKey rootKey = Pkcs11RootKey.open(patient(first.uri()))) {
        wrapped = rootKey.wrap(secret, CONTEXT);
      }
      second = writable.rotateRootKey("root", RootKeySpec.RSA_2048);
    }
    String companion = TokenRootKey.companionLabel(idOf(first));
    try (TokenConnection other = TokenConnection.open(token, true, NativeCryptoki::load)) {
      other.callOnce(
          "destroy",
          session -> {
            for (long handle : session.find(new Template().text(Ck.CKA_LABEL, companion), 4)) {
              session.destroyObject(handle);
            }
            return 0;
          });
    }
    try (Pkcs11RootKey rootKey = Pkcs11RootKey.open(patient(second.uri()))) {
      RootKeyException failure =
          assertThrows(RootKeyException.class, () -> rootKey.unwrap(wrapped, CONTEXT).close());
      assertEquals(NOT_FOUND, failure.reason(), failure::getMessage);
      assertTrue(failure.getMessage().contains(companion), failure::getMessage);
    }
  }

  @Test
  void anotherSigningKey_signsNothing() {
    new SoftHsm(directory).withToken("kms");
    Pkcs11Config token = SoftHsm.config("pkcs11:token=kms");
    Pkcs11KeyInfo root;
    Pkcs11KeyInfo signing;
    try (Pkcs11Token writable = Pkcs11Token.open(token)) {
      root = writable.createRootKey("root", RootKeySpec.AES_256);
      signing = writable.createSigningKey("audit", SignatureAlgorithm.RSA_PSS_SHA256);
    }
    try (Pkcs11RootKey rootKey = Pkcs11RootKey.open(SoftHsm.config(root.uri()));
        TokenConnection other = TokenConnection.open(token, true, NativeCryptoki::load)) {
      SigningKey key = rootKey.signingKey("audit");
      key.sign(new byte[] {1});
      exchange(other, "audit", idOf(signing));
      assertNotFound(() -> key.sign(new byte[] {1}));
    }
  }
}
