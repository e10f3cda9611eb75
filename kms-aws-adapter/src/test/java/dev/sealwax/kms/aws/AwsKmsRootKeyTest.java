package dev.sealwax.kms.aws;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.INVALID_CIPHERTEXT;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.NOT_FOUND;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNAVAILABLE;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNSUPPORTED;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.RootKeyException;
import dev.sealwax.kms.vocabulary.RootKeyException.Reason;
import java.nio.charset.StandardCharsets;
import java.util.UUID;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.services.kms.KmsClient;

/** Which key is named, which is accepted in an answer, and what is sent. */
@Timeout(120)
final class AwsKmsRootKeyTest {
  private static final byte[] SECRET =
      "a secret of some 32 bytes, or so".getBytes(StandardCharsets.US_ASCII);
  private static final EncryptionContext CONTEXT =
      EncryptionContext.of("keyset", "orders", "version", "1");

  private static AwsProxy proxy;
  private static KmsClient client;
  private static String key;
  private static String otherKey;

  @BeforeAll
  static void start() {
    proxy = AwsProxy.before(Moto.shared());
    client = Aws.kms(proxy.endpoint()).build();
    key = Aws.createKey(client);
    otherKey = Aws.createKey(client);
  }

  @AfterAll
  static void stop() {
    client.close();
    proxy.close();
  }

  @BeforeEach
  void heal() {
    proxy.heal();
  }

  private static WrappedKey wrap(RootKey rootKey) {
    try (KeyMaterial secret = KeyMaterial.copyOf(SECRET)) {
      return rootKey.wrap(secret, CONTEXT);
    }
  }

  private static void assertOpens(RootKey rootKey, WrappedKey wrapped) {
    try (KeyMaterial secret = rootKey.unwrap(wrapped, CONTEXT)) {
      assertArrayEquals(SECRET, secret.use(byte[]::clone));
    }
  }

  private static Reason reasonOf(Runnable call) {
    return assertThrows(RootKeyException.class, call::run).reason();
  }

  private static String idOf(String arn) {
    return arn.substring(arn.indexOf('/') + 1);
  }

  @Test
  void open_byArn_asksNothing() {
    long before = proxy.calls("DescribeKey");
    try (AwsKmsRootKey rootKey = AwsKmsRootKey.open(client, key)) {
      assertEquals("aws-kms:" + key, rootKey.currentKeyId().value());
    }
    assertEquals(before, proxy.calls("DescribeKey"));
  }

  @Test
  void open_byIdOrAlias_pinsTheArn() {
    String alias = "alias/" + UUID.randomUUID();
    client.createAlias(a -> a.aliasName(alias).targetKeyId(idOf(key)));
    String aliasArn = key.substring(0, key.indexOf("key/")) + alias;
    for (String name : new String[] {idOf(key), alias, aliasArn}) {
      long before = proxy.calls("DescribeKey");
      try (AwsKmsRootKey rootKey = AwsKmsRootKey.open(client, name)) {
        assertEquals(before + 1, proxy.calls("DescribeKey"), name);
        assertEquals("aws-kms:" + key, rootKey.currentKeyId().value());
      }
    }
    try (AwsKmsRootKey rootKey = AwsKmsRootKey.open(client, alias)) {
      WrappedKey before = wrap(rootKey);
      client.updateAlias(a -> a.aliasName(alias).targetKeyId(idOf(otherKey)));
      assertOpens(rootKey, before);
      assertOpens(rootKey, wrap(rootKey));
      assertTrue(proxy.lastBody("Encrypt").contains(key), "names the key, not the alias");
      try (AwsKmsRootKey later = AwsKmsRootKey.open(client, alias)) {
        assertEquals("aws-kms:" + otherKey, later.currentKeyId().value());
        assertEquals(NOT_FOUND, reasonOf(() -> later.unwrap(before, CONTEXT)));
      }
    }
  }

  @Test
  void open_ofWhatIsNoRootKey_isRefused() {
    assertEquals(NOT_FOUND, reasonOf(() -> AwsKmsRootKey.open(client, "alias/absent")));
    String signing = Aws.createSigningKey(client, "ECC_NIST_P256");
    assertEquals(UNSUPPORTED, reasonOf(() -> AwsKmsRootKey.open(client, idOf(signing))));
  }

  @Test
  void calls_nameKeyAlgorithmAndContext() {
    AwsKmsRootKey rootKey = AwsKmsRootKey.open(client, key);
    rootKey.unwrap(wrap(rootKey), CONTEXT).close();
    for (String operation : new String[] {"Encrypt", "Decrypt"}) {
      String body = proxy.lastBody(operation).replace(" ", "");
      assertTrue(body.contains("\"KeyId\":\"" + key + "\""), body);
      assertTrue(body.contains("\"EncryptionAlgorithm\":\"SYMMETRIC_DEFAULT\""), body);
      assertTrue(
          body.contains("\"EncryptionContext\":{\"keyset\":\"orders\",\"version\":\"1\"}"), body);
    }
  }

  /** What is stored opens without Sealwax as well. */
  @Test
  void wrappedKey_isTheCiphertextOfKms() {
    WrappedKey wrapped = wrap(AwsKmsRootKey.open(client, key));
    var plain =
        client.decrypt(
            d ->
                d.ciphertextBlob(SdkBytes.fromByteArray(wrapped.ciphertext()))
                    .encryptionContext(CONTEXT.asMap()));
    assertArrayEquals(SECRET, plain.plaintext().asByteArray());
  }

  @Test
  void answerOfAnotherKey_isRefused() {
    AwsKmsRootKey rootKey = AwsKmsRootKey.open(client, key);
    WrappedKey wrapped = wrap(rootKey);
    AwsProxy.Fault deputy = AwsProxy.altering(answer -> answer.replace(key, otherKey));
    AwsProxy.Fault silent = AwsProxy.altering(answer -> answer.replace("KeyId", "Other"));
    proxy.next("Decrypt", deputy);
    assertEquals(NOT_FOUND, reasonOf(() -> rootKey.unwrap(wrapped, CONTEXT)));
    proxy.next("Encrypt", deputy);
    assertEquals(NOT_FOUND, reasonOf(() -> wrap(rootKey)));
    proxy.next("Decrypt", silent);
    assertEquals(UNAVAILABLE, reasonOf(() -> rootKey.unwrap(wrapped, CONTEXT)));
    proxy.next("Encrypt", silent);
    assertEquals(UNAVAILABLE, reasonOf(() -> wrap(rootKey)));
    // KMS without a pinned key lets the ciphertext choose: here it must not.
    WrappedKey foreign = wrap(AwsKmsRootKey.open(client, otherKey));
    WrappedKey planted = WrappedKey.of(rootKey.currentKeyId(), foreign.ciphertext());
    assertEquals(INVALID_CIPHERTEXT, reasonOf(() -> rootKey.unwrap(planted, CONTEXT)));
  }

  @Test
  void ciphertextThatKmsCannotHaveMade_costsNoCall() {
    AwsKmsRootKey rootKey = AwsKmsRootKey.open(client, key);
    long before = proxy.calls("Decrypt");
    WrappedKey large =
        WrappedKey.of(rootKey.currentKeyId(), new byte[AwsKmsRootKey.MAX_CIPHERTEXT_BYTES + 1]);
    assertEquals(INVALID_CIPHERTEXT, reasonOf(() -> rootKey.unwrap(large, CONTEXT)));
    assertEquals(before, proxy.calls("Decrypt"));
  }

  @Test
  void rotationInKms_changesNothingHere() {
    AwsKmsRootKey rootKey = AwsKmsRootKey.open(client, key);
    WrappedKey before = wrap(rootKey);
    client.enableKeyRotation(r -> r.keyId(idOf(key)));
    client.rotateKeyOnDemand(r -> r.keyId(idOf(key)));
    assertOpens(rootKey, before);
    WrappedKey after = wrap(rootKey);
    assertOpens(rootKey, after);
    assertEquals(before.rootKeyId(), after.rootKeyId());
    assertNotEquals(before, after);
  }

  /**
   * The replicas of a multi-Region key are played by the proxies, under whose names a plain key of
   * moto answers: moto's own decrypt nothing.
   */
  @Test
  void multiRegionKey_unwrapsByACallToItsOwnRegion() {
    String primary = key.substring(0, key.indexOf("key/")) + "key/mrk-" + "0".repeat(32);
    String replica = primary.replace(Aws.HERE.id(), Aws.THERE.id());
    try (AwsProxy here = AwsProxy.before(Moto.shared());
        AwsProxy there = AwsProxy.before(Moto.shared());
        KmsClient local = Aws.kms(here.endpoint()).build();
        KmsClient remote = Aws.kms(there.endpoint()).build()) {
      here.always("Encrypt", named(primary, primary));
      there.always("Decrypt", named(replica, replica));
      WrappedKey wrapped = wrap(AwsKmsRootKey.open(local, primary));
      AwsKmsRootKey rootKey = AwsKmsRootKey.open(remote, replica);
      assertOpens(rootKey, wrapped);
      assertTrue(there.lastBody("Decrypt").contains(replica), "calls the local key");
      // An answer by the replica of another region is not what was asked for.
      there.always("Decrypt", named(replica, primary));
      assertEquals(NOT_FOUND, reasonOf(() -> rootKey.unwrap(wrapped, CONTEXT)));
      // A key that is not replicated is another one there, and is not even asked for.
      AwsKmsRootKey single = AwsKmsRootKey.open(remote, key.replace(Aws.HERE.id(), Aws.THERE.id()));
      long before = there.calls("Decrypt");
      WrappedKey ofSingle = wrap(AwsKmsRootKey.open(client, key));
      assertEquals(NOT_FOUND, reasonOf(() -> single.unwrap(ofSingle, CONTEXT)));
      assertEquals(before, there.calls("Decrypt"));
    }
  }

  private static AwsProxy.Fault named(String asked, String answered) {
    return AwsProxy.altering(
        question -> question.replace(asked, key), answer -> answer.replace(key, answered));
  }

  @Test
  void regions_areApart() {
    Moto other = Moto.start();
    try (KmsClient there = Aws.kms(other.endpoint()).region(Aws.THERE).build()) {
      AwsKmsRootKey remote = AwsKmsRootKey.open(there, Aws.createKey(there));
      WrappedKey wrapped = wrap(remote);
      assertOpens(remote, wrapped);
      AwsKmsRootKey local = AwsKmsRootKey.open(client, key);
      assertEquals(NOT_FOUND, reasonOf(() -> local.unwrap(wrapped, CONTEXT)));
      assertEquals(
          NOT_FOUND,
          reasonOf(() -> wrap(AwsKmsRootKey.open(there, key))),
          "a key that is not in the region of the client");
    }
  }

  @Test
  void close_leavesTheClientOpen() {
    AwsKmsRootKey rootKey = AwsKmsRootKey.open(client, key);
    rootKey.close();
    assertThrows(IllegalStateException.class, () -> rootKey.signingKey("alias/any"));
    assertOpens(AwsKmsRootKey.open(client, key), wrap(AwsKmsRootKey.open(client, key)));
  }

  @Test
  void null_isRefusedByName() {
    for (Runnable call :
        new Runnable[] {
          () -> AwsKmsRootKey.open(null, key),
          () -> AwsKmsRootKey.open(client, null),
          () -> AwsKmsRootKey.open(client, key).signingKey(null),
          () -> AwsKmsRootKey.open(client, key).wrap(null, CONTEXT),
          () -> DynamoDbKeysetStore.open(null, "t"),
          () -> DynamoDbKeysetStore.createTable(null, "t")
        }) {
      String name = assertThrows(NullPointerException.class, call::run).getMessage();
      assertTrue(name != null && !name.startsWith("Cannot"), name);
    }
  }
}
