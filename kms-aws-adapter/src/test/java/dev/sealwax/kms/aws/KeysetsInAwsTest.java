package dev.sealwax.kms.aws;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.rootkey.RootKeyId;
import dev.sealwax.kms.rootkey.RoutingRootKey;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import software.amazon.awssdk.services.dynamodb.DynamoDbClient;
import software.amazon.awssdk.services.kms.KmsClient;

/** Whole keysets in DynamoDB, from a root key in a file to one in KMS and back. */
@Timeout(120)
final class KeysetsInAwsTest {
  private static final EncryptionContext ROW = EncryptionContext.of("row", "42");
  private static final byte[] PLAINTEXT = {1, 2, 3};

  @TempDir private Path directory;
  private final List<byte[]> envelopes = new ArrayList<>();

  private void encryptAndRotate(Kms kms) {
    EnvelopeCipher orders = kms.envelopeCipher("orders");
    envelopes.add(orders.encrypt(PLAINTEXT, ROW));
    kms.keysets().rotate("orders");
    envelopes.add(orders.encrypt(PLAINTEXT, ROW));
  }

  /** Every envelope as it was made: nobody rewrote a header. */
  private void assertEverythingOpens(Kms kms) {
    for (byte[] envelope : envelopes) {
      assertArrayEquals(PLAINTEXT, kms.envelopeCipher("orders").decrypt(envelope, ROW));
    }
  }

  private static Set<RootKeyId> rootKeysOf(Kms kms) {
    return kms.keysets().get("orders").versions().stream()
        .map(version -> version.rootKeyId().orElseThrow())
        .collect(Collectors.toSet());
  }

  @Test
  void keysets_moveFromAFileToKmsAndBack() {
    try (AwsProxy proxy = AwsProxy.before(Moto.shared());
        KmsClient kmsClient = Aws.kms(proxy.endpoint()).build();
        DynamoDbClient database = Aws.dynamoDb(proxy.endpoint());
        KeyMaterial sealing = KeyMaterial.copyOf(new byte[32])) {
      DynamoDbKeysetStore.createTable(database, "moving-keysets");
      Path file = directory.resolve("root.key");
      LocalRootKey.create(file, sealing).close();
      String key = Aws.createKey(kmsClient);

      try (Kms kms = open(database, LocalRootKey.open(file, sealing))) {
        kms.keysets().create("orders", KeysetTemplate.defaults());
        encryptAndRotate(kms);
      }
      try (AwsKmsRootKey inKms = AwsKmsRootKey.open(kmsClient, key);
          Kms kms =
              open(
                  database,
                  RoutingRootKey.of(
                      AwsKmsRootKey.open(kmsClient, key), LocalRootKey.open(file, sealing)))) {
        kms.keysets().moveToRootKey("orders", inKms);
        assertEquals(Set.of(inKms.currentKeyId()), rootKeysOf(kms));
      }
      long decrypts = proxy.calls("Decrypt");
      try (Kms kms = open(database, AwsKmsRootKey.open(kmsClient, key))) {
        assertEverythingOpens(kms);
        assertEverythingOpens(kms);
        assertEquals(decrypts + 2, proxy.calls("Decrypt"), "one for each version, not message");
        encryptAndRotate(kms);
        kms.keysets().disable("orders", 1);
        kms.keysets().enable("orders", 1);
      }
      try (LocalRootKey back = LocalRootKey.open(file, sealing);
          Kms kms =
              open(
                  database,
                  RoutingRootKey.of(
                      LocalRootKey.open(file, sealing), AwsKmsRootKey.open(kmsClient, key)))) {
        kms.keysets().moveToRootKey("orders", back);
        assertEquals(Set.of(back.currentKeyId()), rootKeysOf(kms));
      }
      decrypts = proxy.calls("Decrypt");
      try (Kms kms = open(database, LocalRootKey.open(file, sealing))) {
        assertEquals(4, envelopes.size());
        assertEverythingOpens(kms);
      }
      assertEquals(decrypts, proxy.calls("Decrypt"));
    }
  }

  private static Kms open(DynamoDbClient database, RootKey rootKey) {
    return Kms.builder()
        .rootKey(rootKey)
        .store(DynamoDbKeysetStore.open(database, "moving-keysets"))
        .build();
  }
}
