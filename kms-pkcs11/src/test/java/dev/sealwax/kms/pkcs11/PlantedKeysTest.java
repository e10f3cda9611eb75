package dev.sealwax.kms.pkcs11;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.INVALID_CIPHERTEXT;
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
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyPairGenerator;
import java.security.Signature;
import java.security.spec.ECGenParameterSpec;
import java.util.Arrays;
import java.util.HexFormat;
import javax.crypto.Cipher;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.SecretKeySpec;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Keys that somebody without the PIN put onto a token: of any value, label and id. */
final class PlantedKeysTest {
  private static final EncryptionContext CONTEXT = EncryptionContext.of("keyset", "orders");
  private static final byte[] PLANTED_ID = {0x66, 0x66, 0x66};
  private static final byte[] KNOWN = new byte[32];

  @TempDir private Path directory;
  private String uri;

  @BeforeEach
  void makeToken() {
    new SoftHsm(directory).withToken("kms");
    try (Pkcs11Token token = Pkcs11Token.open(SoftHsm.config("pkcs11:token=kms"))) {
      uri = token.createRootKey("root", RootKeySpec.AES_256).uri();
    }
  }

  private static void plant(long keyType, String label, byte[] id) {
    plant(
        new Template()
            .number(Ck.CKA_CLASS, Ck.CKO_SECRET_KEY)
            .number(Ck.CKA_KEY_TYPE, keyType)
            .flag(Ck.CKA_TOKEN, true)
            .flag(Ck.CKA_PRIVATE, false)
            .flag(Ck.CKA_SENSITIVE, true)
            .flag(Ck.CKA_EXTRACTABLE, false)
            .flag(Ck.CKA_ENCRYPT, keyType == Ck.CKK_AES)
            .flag(Ck.CKA_DECRYPT, keyType == Ck.CKK_AES)
            .flag(Ck.CKA_SIGN, true)
            .text(Ck.CKA_LABEL, label)
            .bytes(Ck.CKA_ID, id)
            .bytes(Ck.CKA_VALUE, KNOWN.clone()));
  }

  /** In a session of its own, without a login. */
  private static void plant(Template template) {
    NativeCryptoki module = NativeCryptoki.load(SoftHsm.module());
    module.initialize(null);
    try {
      long slot =
          Arrays.stream(module.slots())
              .filter(candidate -> module.tokenInfo(candidate).label().equals("kms"))
              .findFirst()
              .orElseThrow();
      module.createObject(module.openSession(slot, true), template);
    } finally {
      module.finish();
    }
  }

  private static byte[] keyId(String uri) {
    byte[] id = Pkcs11Uri.parse(uri).id();
    return id == null ? new byte[0] : id;
  }

  @Test
  void aVersionThatIsNotPrivate_unwrapsNothing() throws GeneralSecurityException {
    plant(Ck.CKK_AES, "root", PLANTED_ID);
    Cipher gcm = Cipher.getInstance("AES/GCM/NoPadding");
    byte[] iv = new byte[12];
    gcm.init(Cipher.ENCRYPT_MODE, new SecretKeySpec(KNOWN, "AES"), new GCMParameterSpec(128, iv));
    gcm.updateAAD(WrappedBlob.binding(WrapMechanism.AES_GCM, PLANTED_ID, CONTEXT));
    byte[] encrypted = gcm.doFinal(new byte[32]);
    byte[] part = ByteBuffer.allocate(12 + encrypted.length).put(iv).put(encrypted).array();
    byte[] blob =
        new WrappedBlob(WrapMechanism.AES_GCM, PLANTED_ID, part, new byte[0], new byte[0]).encode();
    WrappedKey forged = WrappedKey.of(Pkcs11RootKey.idOf(PLANTED_ID), blob);
    try (Pkcs11RootKey rootKey = Pkcs11RootKey.open(SoftHsm.config(uri))) {
      RootKeyException refused =
          assertThrows(RootKeyException.class, () -> rootKey.unwrap(forged, CONTEXT).close());
      assertEquals(NOT_FOUND, refused.reason());
    }
  }

  @Test
  void aKeyOfTheSameLabelOrId_isNoObstacle() {
    plant(Ck.CKK_AES, "root", PLANTED_ID);
    plant(Ck.CKK_AES, "other", keyId(uri));
    try (Pkcs11RootKey rootKey =
            Pkcs11RootKey.open(SoftHsm.config("pkcs11:token=kms;object=root"));
        KeyMaterial secret = KeyMaterial.copyOf(KNOWN);
        KeyMaterial back = rootKey.unwrap(rootKey.wrap(secret, CONTEXT), CONTEXT)) {
      assertTrue(back.contentEquals(secret));
    }
  }

  @Test
  void aPublicKeyOfTheSameId_doesNotReplaceTheRightOne() throws GeneralSecurityException {
    byte[] id;
    try (Pkcs11Token token = Pkcs11Token.open(SoftHsm.config("pkcs11:token=kms"))) {
      Pkcs11KeyInfo made = token.createSigningKey("audit", SignatureAlgorithm.ECDSA_P256_SHA256);
      id = HexFormat.of().parseHex(made.idHex());
    }
    KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
    generator.initialize(new ECGenParameterSpec("secp256r1"));
    byte[] encoded = generator.generateKeyPair().getPublic().getEncoded();
    byte[] point = Arrays.copyOfRange(encoded, encoded.length - 65, encoded.length);
    for (byte[] planted : new byte[][] {point, new byte[65]}) {
      plant(
          new Template()
              .number(Ck.CKA_CLASS, Ck.CKO_PUBLIC_KEY)
              .number(Ck.CKA_KEY_TYPE, Ck.CKK_EC)
              .flag(Ck.CKA_TOKEN, true)
              .flag(Ck.CKA_PRIVATE, false)
              .flag(Ck.CKA_VERIFY, true)
              .text(Ck.CKA_LABEL, "audit")
              .bytes(Ck.CKA_ID, id)
              .bytes(
                  Ck.CKA_EC_PARAMS,
                  NamedCurve.of(SignatureAlgorithm.ECDSA_P256_SHA256).parameters().get(0))
              .bytes(
                  Ck.CKA_EC_POINT,
                  ByteBuffer.allocate(67).put((byte) 4).put((byte) 65).put(planted).array()));
    }
    try (Pkcs11RootKey rootKey = Pkcs11RootKey.open(SoftHsm.config(uri))) {
      SigningKey key = rootKey.signingKey("audit");
      Signature verifier = Signature.getInstance(key.algorithm().jcaName());
      verifier.initVerify(key.publicKey());
      verifier.update(KNOWN);
      assertTrue(verifier.verify(key.sign(KNOWN)));
    }
  }

  @Test
  void aCompanionThatIsNotPrivate_authenticatesNothing() {
    String companion = "sealwax-author-" + HexFormat.of().formatHex(keyId(uri));
    plant(Ck.CKK_GENERIC_SECRET, companion, PLANTED_ID);
    byte[] blob =
        new WrappedBlob(
                WrapMechanism.AES_CBC_HMAC, keyId(uri), new byte[48], new byte[32], new byte[48])
            .encode();
    try (Pkcs11RootKey rootKey = Pkcs11RootKey.open(SoftHsm.config(uri))) {
      WrappedKey forged = WrappedKey.of(rootKey.currentKeyId(), blob);
      RootKeyException refused =
          assertThrows(RootKeyException.class, () -> rootKey.unwrap(forged, CONTEXT).close());
      assertEquals(INVALID_CIPHERTEXT, refused.reason());
    }
    RootKeyException unopened =
        assertThrows(
            RootKeyException.class,
            () ->
                Pkcs11RootKey.open(SoftHsm.config(uri).withMechanism(WrapMechanism.AES_CBC_HMAC))
                    .close());
    assertTrue(unopened.getMessage().contains("needs a companion"), unopened::getMessage);
  }
}
