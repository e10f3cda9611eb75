package dev.sealwax.kms.aws;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.sealwax.kms.rootkey.ResilientRootKey;
import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.GuardPolicy;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.RootKeyException;
import dev.sealwax.kms.vocabulary.RootKeyException.Reason;
import java.time.Duration;
import java.util.Optional;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import software.amazon.awssdk.awscore.AwsClient;
import software.amazon.awssdk.core.client.config.ClientOverrideConfiguration;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.retries.api.RetryStrategy;
import software.amazon.awssdk.services.dynamodb.DynamoDbClient;
import software.amazon.awssdk.services.kms.KmsClient;

/** Which limits the clients really have, and how often they ask, counted at the other end. */
@Timeout(120)
final class AwsClientsTest {
  private static final EncryptionContext CONTEXT = EncryptionContext.of("keyset", "orders");

  private static AwsProxy proxy;
  private static KmsClient retrying;
  private static KmsClient single;
  private static String key;

  @BeforeAll
  static void start() {
    proxy = AwsProxy.before(Moto.shared());
    retrying = Aws.kms(proxy.endpoint()).build();
    single = Aws.kmsWithoutRetries(proxy.endpoint()).build();
    key = Aws.createKey(retrying);
  }

  @AfterAll
  static void stop() {
    retrying.close();
    single.close();
    proxy.close();
  }

  @BeforeEach
  void heal() {
    proxy.heal();
  }

  private static void assertLimits(int attempts, AwsClient client) {
    ClientOverrideConfiguration has = client.serviceClientConfiguration().overrideConfiguration();
    assertEquals(Optional.of(Duration.ofSeconds(3)), has.apiCallAttemptTimeout());
    assertEquals(Optional.of(Duration.ofSeconds(10)), has.apiCallTimeout());
    assertEquals(Optional.of(attempts), has.retryStrategy().map(RetryStrategy::maxAttempts));
  }

  @Test
  void clients_haveTheLimitsThatTheyAreSaidToHave() {
    assertLimits(3, retrying);
    assertLimits(1, single);
    try (DynamoDbClient database = Aws.dynamoDb(proxy.endpoint())) {
      assertLimits(3, database);
    }
    try (DynamoDbClient database =
        AwsClients.dynamoDbWithoutRetries()
            .region(Region.EU_WEST_1)
            .endpointOverride(proxy.endpoint())
            .build()) {
      assertLimits(1, database);
    }
  }

  private static long attemptsOf(RootKey rootKey, AwsProxy.Fault fault, Reason reason) {
    WrappedKey wrapped;
    try (KeyMaterial secret = KeyMaterial.copyOf(new byte[32])) {
      wrapped = rootKey.wrap(secret, CONTEXT);
    }
    proxy.always("Decrypt", fault);
    long before = proxy.calls("Decrypt");
    RootKeyException failure =
        assertThrows(RootKeyException.class, () -> rootKey.unwrap(wrapped, CONTEXT));
    assertEquals(reason, failure.reason());
    long attempts = proxy.calls("Decrypt") - before;
    proxy.heal();
    try (KeyMaterial opened = rootKey.unwrap(wrapped, CONTEXT)) {
      assertArrayEquals(new byte[32], opened.use(byte[]::clone));
    }
    return attempts;
  }

  @Test
  void rootKey_whoseClientRetries_asksThreeTimes() {
    AwsProxy.Fault down = AwsProxy.error(500, "KMSInternalException");
    AwsProxy.Fault denied = AwsProxy.error(400, "AccessDeniedException");
    try (RootKey rootKey = AwsKmsRootKey.open(retrying, key)) {
      assertEquals(3, attemptsOf(rootKey, down, Reason.UNAVAILABLE));
      assertEquals(1, attemptsOf(rootKey, denied, Reason.ACCESS_DENIED));
    }
  }

  @Test
  void rootKey_whoseClientDoesNotRetry_asksOnce() {
    try (RootKey rootKey = AwsKmsRootKey.open(single, key)) {
      AwsProxy.Fault down = AwsProxy.error(500, "KMSInternalException");
      assertEquals(1, attemptsOf(rootKey, down, Reason.UNAVAILABLE));
      assertEquals(1, attemptsOf(rootKey, AwsProxy.reset(), Reason.UNAVAILABLE));
    }
  }

  /** What a call costs is what the guard says, and nothing multiplies it. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 4})
  void guardedRootKey_whoseClientDoesNotRetry_asksAsOftenAsTheGuardSays(int attempts) {
    try (ResilientRootKey rootKey =
        ResilientRootKey.around(
            AwsKmsRootKey.open(single, key),
            GuardPolicy.defaults()
                .withCircuit(100, Duration.ofMillis(500)) // stays closed
                .withAttempts(attempts, Duration.ofSeconds(5))
                .withDeadline(Duration.ofSeconds(60))
                .withPauses(Duration.ofMillis(1), Duration.ofMillis(10)))) {
      AwsProxy.Fault down = AwsProxy.error(500, "KMSInternalException");
      AwsProxy.Fault throttled = AwsProxy.error(400, "ThrottlingException");
      AwsProxy.Fault denied = AwsProxy.error(400, "AccessDeniedException");
      assertEquals(attempts, attemptsOf(rootKey, down, Reason.UNAVAILABLE));
      assertEquals(attempts, attemptsOf(rootKey, throttled, Reason.THROTTLED));
      assertEquals(attempts, attemptsOf(rootKey, AwsProxy.reset(), Reason.UNAVAILABLE));
      assertEquals(1, attemptsOf(rootKey, denied, Reason.ACCESS_DENIED));
    }
  }
}
