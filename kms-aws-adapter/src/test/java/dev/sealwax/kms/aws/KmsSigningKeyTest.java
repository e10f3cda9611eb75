package dev.sealwax.kms.aws;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.NOT_FOUND;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNSUPPORTED;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.rootkey.SignatureAlgorithm;
import dev.sealwax.kms.rootkey.SigningKey;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.security.MessageDigest;
import java.security.Signature;
import java.security.spec.MGF1ParameterSpec;
import java.security.spec.PSSParameterSpec;
import java.util.Base64;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import software.amazon.awssdk.services.kms.KmsClient;

/** Signatures by moto's keys, verified by the JDK. */
@Timeout(120)
final class KmsSigningKeyTest {
  private static AwsProxy proxy;
  private static KmsClient client;
  private static AwsKmsRootKey rootKey;

  @BeforeAll
  static void start() {
    proxy = AwsProxy.before(Moto.shared());
    client = Aws.kms(proxy.endpoint()).build();
    rootKey = AwsKmsRootKey.open(client, Aws.createKey(client));
  }

  @AfterAll
  static void stop() {
    client.close();
    proxy.close();
  }

  /** The longest that fits, from moto; KMS takes 32 bytes, says AWS. */
  private static final int SALT_BYTES_OF_MOTO = 2048 / 8 - 32 - 2;

  private static boolean verifies(SigningKey key, byte[] message, byte[] signature)
      throws Exception {
    Signature verifier = Signature.getInstance(key.algorithm().jcaName());
    if (key.algorithm() == SignatureAlgorithm.RSA_PSS_SHA256) {
      verifier.setParameter(
          new PSSParameterSpec("SHA-256", "MGF1", MGF1ParameterSpec.SHA256, SALT_BYTES_OF_MOTO, 1));
    }
    verifier.initVerify(key.publicKey());
    verifier.update(message);
    return verifier.verify(signature);
  }

  @ParameterizedTest
  @CsvSource({
    "ECC_NIST_P256, ECDSA_P256_SHA256, SHA-256",
    "ECC_NIST_P384, ECDSA_P384_SHA384, SHA-384",
    "RSA_2048, RSA_PSS_SHA256, SHA-256"
  })
  void sign_verifiesWithThePublicKey(String spec, SignatureAlgorithm algorithm, String hash)
      throws Exception {
    String arn = Aws.createSigningKey(client, spec);
    SigningKey key = rootKey.signingKey(arn);
    assertEquals(algorithm, key.algorithm());
    assertEquals("aws-kms:" + arn, key.id().value());
    byte[] message = new byte[KmsSigningKey.MAX_RAW_BYTES];
    byte[] signature = key.sign(message);
    assertTrue(verifies(key, message, signature));
    assertFalse(verifies(key, new byte[1], signature));
    // Longer ones are hashed here. KMS would sign that hash; moto hashes it once more.
    byte[] large = new byte[KmsSigningKey.MAX_RAW_BYTES + 1];
    byte[] digest = MessageDigest.getInstance(hash).digest(large);
    byte[] ofLarge = key.sign(large);
    String body = proxy.lastBody("Sign");
    assertTrue(body.contains("DIGEST"), body);
    assertTrue(body.contains(Base64.getEncoder().encodeToString(digest)), body);
    assertTrue(verifies(key, digest, ofLarge), "by moto's double hash");
    key.sign(new byte[0]);
    assertTrue(proxy.lastBody("Sign").contains("DIGEST"), "KMS takes no empty message");
  }

  @Test
  void signingKey_byAlias_pinsTheArn() throws Exception {
    String first = Aws.createSigningKey(client, "ECC_NIST_P256");
    String second = Aws.createSigningKey(client, "ECC_NIST_P256");
    client.createAlias(a -> a.aliasName("alias/signing").targetKeyId(idOf(first)));
    SigningKey key = rootKey.signingKey("alias/signing");
    client.updateAlias(a -> a.aliasName("alias/signing").targetKeyId(idOf(second)));
    assertTrue(verifies(key, new byte[9], key.sign(new byte[9])));
    assertEquals("aws-kms:" + first, key.id().value());
  }

  @Test
  void signingKey_ofAnotherKind_isRefused() {
    assertReason(NOT_FOUND, () -> rootKey.signingKey("alias/absent"));
    String curve = Aws.createSigningKey(client, "ECC_SECG_P256K1");
    assertReason(UNSUPPORTED, () -> rootKey.signingKey(curve));
    String encrypting =
        client
            .createKey(k -> k.keySpec("RSA_2048").keyUsage("ENCRYPT_DECRYPT"))
            .keyMetadata()
            .arn();
    assertReason(UNSUPPORTED, () -> rootKey.signingKey(encrypting));
  }

  @Test
  void answerOfAnotherKey_isRefused() {
    String arn = Aws.createSigningKey(client, "ECC_NIST_P256");
    String other = Aws.createSigningKey(client, "ECC_NIST_P256");
    SigningKey key = rootKey.signingKey(arn);
    proxy.next("Sign", AwsProxy.altering(answer -> answer.replace(arn, other)));
    assertReason(NOT_FOUND, () -> key.sign(new byte[1]));
    proxy.next("GetPublicKey", AwsProxy.altering(answer -> answer.replace(idOf(arn), idOf(other))));
    assertReason(NOT_FOUND, () -> rootKey.signingKey(arn));
  }

  @Test
  void sign_afterClose_isRefused() {
    AwsKmsRootKey closing = AwsKmsRootKey.open(client, Aws.createKey(client));
    SigningKey key = closing.signingKey(Aws.createSigningKey(client, "ECC_NIST_P256"));
    closing.close();
    assertThrows(IllegalStateException.class, () -> key.sign(new byte[1]));
  }

  private static String idOf(String arn) {
    return arn.substring(arn.indexOf('/') + 1);
  }

  private static void assertReason(RootKeyException.Reason reason, Runnable call) {
    assertEquals(reason, assertThrows(RootKeyException.class, call::run).reason());
  }
}
