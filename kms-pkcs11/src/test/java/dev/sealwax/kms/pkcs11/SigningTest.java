package dev.sealwax.kms.pkcs11;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.NOT_FOUND;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNSUPPORTED;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.rootkey.SignatureAlgorithm;
import dev.sealwax.kms.rootkey.SigningKey;
import dev.sealwax.kms.rootkey.SigningRootKey;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.Signature;
import java.security.spec.MGF1ParameterSpec;
import java.security.spec.PSSParameterSpec;
import java.util.HexFormat;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Signatures by real modules, verified by the JDK. */
final class SigningTest {
  @TempDir private static Path directory;
  private static Pkcs11Token token;
  private static RootKey rootKey;

  @BeforeAll
  static void makeToken() {
    new SoftHsm(directory).withToken("kms");
    Pkcs11Config config = SoftHsm.config("pkcs11:token=kms;object=root");
    token = Pkcs11Token.open(config);
    token.createRootKey("root", RootKeySpec.AES_256);
    rootKey = Pkcs11RootKey.open(config);
  }

  @AfterAll
  static void close() {
    rootKey.close();
    token.close();
  }

  private static boolean verifies(SigningKey key, byte[] message, byte[] signature)
      throws Exception {
    Signature verifier = Signature.getInstance(key.algorithm().jcaName());
    if (key.algorithm() == SignatureAlgorithm.RSA_PSS_SHA256) {
      verifier.setParameter(
          new PSSParameterSpec("SHA-256", "MGF1", MGF1ParameterSpec.SHA256, 32, 1));
    }
    verifier.initVerify(key.publicKey());
    verifier.update(message);
    return verifier.verify(signature);
  }

  @ParameterizedTest
  @EnumSource(SignatureAlgorithm.class)
  void sign_verifiesWithTheExportedKey(SignatureAlgorithm algorithm) throws Exception {
    String name = "sign-" + algorithm;
    Pkcs11KeyInfo info = token.createSigningKey(name, algorithm);
    assertEquals(KeyProtection.NEVER_OUTSIDE, info.protection());
    // The optional capability is found as the SPI says.
    SigningKey key = assertInstanceOfSigning(rootKey).signingKey(name);
    assertEquals(algorithm, key.algorithm());
    for (int length : new int[] {0, 1, 32, 1000, 16_384}) {
      byte[] message = new byte[length];
      byte[] signature = key.sign(message);
      assertTrue(verifies(key, message, signature), length + " bytes");
      assertFalse(verifies(key, new byte[length + 1], signature));
    }
  }

  private static SigningRootKey assertInstanceOfSigning(RootKey key) {
    return (SigningRootKey) key;
  }

  @Test
  void sign_ofALongMessage_worksWhereItIsHashed() throws Exception {
    byte[] message = new byte[100_000];
    token.createSigningKey("long-ec", SignatureAlgorithm.ECDSA_P256_SHA256);
    SigningKey ec = assertInstanceOfSigning(rootKey).signingKey("long-ec");
    assertTrue(verifies(ec, message, ec.sign(message)));
    token.createSigningKey("long-ed", SignatureAlgorithm.ED25519);
    SigningKey ed = assertInstanceOfSigning(rootKey).signingKey("long-ed");
    FakeTokenTest.assertFails(UNSUPPORTED, () -> ed.sign(message));
  }

  /**
   * Hundreds of signatures, because one number in 256 starts with a zero byte, and one in two is
   * negative without one.
   */
  @Test
  void der_ofEcdsa_isCanonical() throws Exception {
    token.createSigningKey("many", SignatureAlgorithm.ECDSA_P256_SHA256);
    SigningKey key = assertInstanceOfSigning(rootKey).signingKey("many");
    for (int i = 0; i < 300; i++) {
      byte[] message = Integer.toString(i).getBytes(StandardCharsets.US_ASCII);
      assertTrue(verifies(key, message, key.sign(message)), "message " + i);
    }
    assertArrayEquals(
        HexFormat.of().parseHex("3008020200ff02020080"),
        TokenSigningKey.der(HexFormat.of().parseHex("00ff0080")));
    assertArrayEquals(
        HexFormat.of().parseHex("3006020101020100"),
        TokenSigningKey.der(HexFormat.of().parseHex("00010000")));
    FakeTokenTest.assertFails(UNSUPPORTED, () -> TokenSigningKey.der(new byte[63]));
    FakeTokenTest.assertFails(UNSUPPORTED, () -> TokenSigningKey.der(new byte[0]));
    FakeTokenTest.assertFails(UNSUPPORTED, () -> TokenSigningKey.der(new byte[98]));
  }

  @Test
  void signingKey_ofNoSuchName_isNotFound() {
    FakeTokenTest.assertFails(
        NOT_FOUND, () -> assertInstanceOfSigning(rootKey).signingKey("absent"));
    FakeTokenTest.assertFails(NOT_FOUND, () -> assertInstanceOfSigning(rootKey).signingKey("root"));
  }

  @Test
  void createSigningKey_ofALabelThatIsTaken_isRefused() {
    FakeTokenTest.assertFails(
        UNSUPPORTED, () -> token.createSigningKey("root", SignatureAlgorithm.ECDSA_P256_SHA256));
    assertThrows(
        IllegalArgumentException.class,
        () -> token.createSigningKey("", SignatureAlgorithm.ECDSA_P256_SHA256));
    assertThrows(
        IllegalArgumentException.class,
        () -> token.createSigningKey("x".repeat(65), SignatureAlgorithm.ECDSA_P256_SHA256));
  }
}
