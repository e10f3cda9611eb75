package dev.sealwax.kms.aws;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.ACCESS_DENIED;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.DISABLED;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.INTERNAL;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.THROTTLED;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNAVAILABLE;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.RootKeyException;
import dev.sealwax.kms.vocabulary.RootKeyException.Reason;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Base64;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import software.amazon.awssdk.core.exception.SdkClientException;
import software.amazon.awssdk.services.kms.KmsClient;

/** Every error of the wire, put there by our proxy, and what it is called above. */
@Timeout(120)
final class KmsErrorsTest {
  private static final String SECRET = "secret-that-must-not-be-printed!";
  private static final String VALUE = "value-that-must-not-be-printed";
  private static final EncryptionContext CONTEXT = EncryptionContext.of("name", VALUE);

  private static AwsProxy proxy;
  private static KmsClient client;
  private static AwsKmsRootKey rootKey;
  private static String key;
  private static WrappedKey wrapped;

  @BeforeAll
  static void start() {
    proxy = AwsProxy.before(Moto.shared());
    client = Aws.impatientKms(proxy.endpoint(), Duration.ofSeconds(20));
    key = Aws.createKey(client);
    rootKey = AwsKmsRootKey.open(client, key);
    wrapped = wrap(rootKey);
  }

  @AfterAll
  static void stop() {
    client.close();
    proxy.close();
  }

  @BeforeEach
  void heal() {
    proxy.heal();
    client.enableKey(r -> r.keyId(idOf(key)));
  }

  /** Changes of state take an ARN as well, but not from moto. */
  private static String idOf(String arn) {
    return arn.substring(arn.indexOf('/') + 1);
  }

  private static WrappedKey wrap(AwsKmsRootKey rootKey) {
    try (KeyMaterial secret = KeyMaterial.copyOf(SECRET.getBytes(StandardCharsets.US_ASCII))) {
      return rootKey.wrap(secret, CONTEXT);
    }
  }

  /** The failure of one unwrap, which must say neither secret nor context value. */
  private static RootKeyException failureOf(AwsKmsRootKey rootKey) {
    RootKeyException failure =
        assertThrows(RootKeyException.class, () -> rootKey.unwrap(wrapped, CONTEXT).close());
    for (Throwable t = failure; t != null; t = t.getCause()) {
      for (String hidden :
          new String[] {
            SECRET,
            VALUE,
            Base64.getEncoder()
                .encodeToString(SECRET.getBytes(StandardCharsets.US_ASCII))
                .substring(0, 12)
          }) {
        assertFalse(t.toString().contains(hidden), t::toString);
      }
    }
    return failure;
  }

  private static Reason reasonWhen(AwsProxy.Fault fault) {
    proxy.next("Decrypt", fault);
    return failureOf(rootKey).reason();
  }

  @ParameterizedTest
  @CsvSource({
    "NotFoundException, 400, NOT_FOUND",
    "DisabledException, 400, DISABLED",
    "AccessDeniedException, 400, ACCESS_DENIED",
    "AccessDeniedException, 403, ACCESS_DENIED",
    "UnrecognizedClientException, 400, ACCESS_DENIED",
    "InvalidClientTokenId, 403, ACCESS_DENIED",
    "InvalidSignatureException, 403, ACCESS_DENIED",
    "IncompleteSignature, 400, ACCESS_DENIED",
    "MissingAuthenticationToken, 403, ACCESS_DENIED",
    "ExpiredTokenException, 400, UNAVAILABLE",
    "ExpiredToken, 403, UNAVAILABLE",
    "RequestExpired, 400, ACCESS_DENIED",
    "InvalidCiphertextException, 400, INVALID_CIPHERTEXT",
    "IncorrectKeyException, 400, INVALID_CIPHERTEXT",
    "ThrottlingException, 400, THROTTLED",
    "RequestLimitExceeded, 400, THROTTLED",
    "TooManyRequestsException, 429, THROTTLED",
    "SlowDown, 503, THROTTLED",
    "SomethingNew, 429, THROTTLED",
    "KMSInternalException, 500, UNAVAILABLE",
    "DependencyTimeoutException, 500, UNAVAILABLE",
    "KeyUnavailableException, 500, UNAVAILABLE",
    "KeyUnavailableException, 400, UNAVAILABLE",
    "CustomKeyStoreInvalidStateException, 400, UNAVAILABLE",
    "CloudHsmClusterNotActiveException, 400, UNAVAILABLE",
    "XksProxyUriUnreachableException, 400, UNAVAILABLE",
    "SomethingNew, 502, UNAVAILABLE",
    "SomethingNew, 503, UNAVAILABLE",
    "InvalidKeyUsageException, 400, UNSUPPORTED",
    "ValidationException, 400, UNSUPPORTED",
    "InvalidArnException, 400, UNSUPPORTED",
    "UnsupportedOperationException, 400, UNSUPPORTED",
    "InvalidGrantTokenException, 400, UNSUPPORTED",
    "LimitExceededException, 400, INTERNAL",
    "ConflictException, 400, INTERNAL",
    "OptInRequired, 403, ACCESS_DENIED",
    "MalformedHttpRequest, 400, INTERNAL"
  })
  void code_becomesItsReason(String code, int status, Reason reason) {
    assertEquals(reason, reasonWhen(AwsProxy.error(status, code)));
    proxy.next("Encrypt", AwsProxy.error(status, code));
    assertEquals(
        reason, assertThrows(RootKeyException.class, () -> wrap(rootKey)).reason(), "of a wrap");
  }

  @Test
  void message_saysCodeStatusRequestAndWhatToDo() {
    proxy.next(
        "Decrypt",
        AwsProxy.error(400, "AccessDeniedException", "User: somebody may not kms:Decrypt"));
    String message = failureOf(rootKey).getMessage();
    for (String part :
        new String[] {
          "unwrap with " + key,
          "AccessDeniedException",
          "HTTP 400",
          "request-of-the-proxy",
          "User: somebody may not kms:Decrypt",
          "check credentials",
          "(ACCESS_DENIED)"
        }) {
      assertTrue(message.contains(part), message);
    }
  }

  /** AWS says what it did not like of a request by quoting it. */
  @ParameterizedTest
  @CsvSource({
    "ValidationException, 400",
    "SomethingNew, 400",
    "SomethingNew, 401",
    "SomethingNew, 403",
    "AccessDenied, 403",
    "InvalidSignatureException, 403",
    "UnrecognizedClientException, 400",
    "InvalidCiphertextException, 400"
  })
  void message_quotesNothingThatTheServiceQuotes(String code, int status) {
    proxy.next("Decrypt", AwsProxy.error(status, code, "Value " + VALUE + " failed, " + SECRET));
    failureOf(rootKey);
  }

  @Test
  void message_ofADenial_isOneShortPrintableLine() {
    String long500 = "x".repeat(500);
    proxy.next(
        "Decrypt",
        AwsProxy.error(400, "AccessDeniedException", "a\\n[INFO] b\\u001b[31m" + long500));
    String message = failureOf(rootKey).getMessage();
    assertTrue(message.contains("(a?[INFO] b?[31mxxx"), message);
    assertTrue(message.chars().allMatch(c -> c >= ' ' && c <= '~'), message);
    assertFalse(message.contains("x".repeat(300)), message);
    proxy.next("Decrypt", AwsProxy.error(403, "Odd\\ncode" + long500));
    message = failureOf(rootKey).getMessage();
    assertTrue(message.chars().allMatch(c -> c >= ' ' && c <= '~'), message);
    assertFalse(message.contains("x".repeat(100)), message);
  }

  @ParameterizedTest
  @ValueSource(strings = {"<html>proxy</html>", "", "{}x", "{\"__type\":"})
  void bodyWithoutACode_goesByTheStatus(String body) {
    assertEquals(ACCESS_DENIED, reasonWhen(AwsProxy.page(403, body)));
    assertEquals(ACCESS_DENIED, reasonWhen(AwsProxy.page(401, body)));
    assertEquals(THROTTLED, reasonWhen(AwsProxy.page(429, body)));
    assertEquals(UNAVAILABLE, reasonWhen(AwsProxy.page(502, body)));
    assertEquals(INTERNAL, reasonWhen(AwsProxy.page(404, body)));
  }

  @Test
  void answerThatIsNone_isUnavailable() {
    assertEquals(UNAVAILABLE, reasonWhen(AwsProxy.page(200, "<html>proxy</html>")));
    assertEquals(UNAVAILABLE, reasonWhen(AwsProxy.truncated()));
    assertEquals(UNAVAILABLE, reasonWhen(AwsProxy.page(200, SECRET + VALUE)), "a parser quotes");
    assertEquals(UNAVAILABLE, reasonWhen(AwsProxy.reset()));
    assertEquals(UNAVAILABLE, reasonWhen(AwsProxy.answerLost()));
  }

  @Test
  void answerWithoutContent_isRefused() {
    assertEquals(UNAVAILABLE, reasonWhen(AwsProxy.page(200, "{}")), "by no key");
    String ours = "\"KeyId\":\"" + key + "\"";
    assertEquals(INTERNAL, reasonWhen(AwsProxy.page(200, "{" + ours + "}")));
    assertEquals(INTERNAL, reasonWhen(AwsProxy.page(200, "{\"Plaintext\":\"\"," + ours + "}")));
    String long64 = Base64.getEncoder().encodeToString(new byte[KeyMaterial.MAX_BYTES + 1]);
    assertEquals(
        INTERNAL,
        reasonWhen(AwsProxy.page(200, "{\"Plaintext\":\"" + long64 + "\"," + ours + "}")));
    proxy.next("Encrypt", AwsProxy.page(200, "{" + ours + "}"));
    assertEquals(
        INTERNAL, assertThrows(RootKeyException.class, () -> wrap(rootKey)).reason(), "of a wrap");
  }

  @Test
  void noAnswer_endsWithTheCallsTimeout() {
    CountDownLatch release = new CountDownLatch(1);
    try (KmsClient hasty = Aws.impatientKms(proxy.endpoint(), Duration.ofMillis(300))) {
      proxy.next("Decrypt", AwsProxy.hanging(release));
      RootKeyException failure = failureOf(AwsKmsRootKey.open(hasty, key));
      assertEquals(UNAVAILABLE, failure.reason());
      assertTrue(failure.getMessage().contains("ApiCallTimeoutException"), failure::getMessage);
    } finally {
      release.countDown();
    }
  }

  /** A client without any limit still gets one. */
  @Test
  void clientWithoutTimeout_isGivenOne() {
    try (KmsClient endless =
        Aws.kms(proxy.endpoint()).overrideConfiguration(limits -> {}).build()) {
      CallLimit limit = CallLimit.of(endless.serviceClientConfiguration());
      assertEquals(
          Optional.of(CallLimit.DEFAULT),
          Optional.ofNullable(limit.asConfiguration()).flatMap(c -> c.apiCallTimeout()));
    }
    CallLimit own = CallLimit.of(client.serviceClientConfiguration());
    assertEquals(new CallLimit(Duration.ofSeconds(20), true), own);
    assertNull(own.asConfiguration());
    assertEquals(new CallLimit(Duration.ofSeconds(19), false), own.minus(Duration.ofSeconds(1)));
    assertEquals(Duration.ofMillis(1), own.minus(Duration.ofDays(1)).duration());
  }

  @Test
  void nobodyThere_isUnavailable() {
    try (KmsClient lost =
        Aws.impatientKms(URI.create("http://127.0.0.1:1"), Duration.ofSeconds(20))) {
      assertEquals(UNAVAILABLE, failureOf(AwsKmsRootKey.open(lost, key)).reason());
    }
    try (KmsClient lost =
        Aws.impatientKms(URI.create("http://kms.invalid"), Duration.ofSeconds(20))) {
      assertEquals(UNAVAILABLE, failureOf(AwsKmsRootKey.open(lost, key)).reason());
    }
  }

  @Test
  void noCredentials_isUnavailable() {
    try (KmsClient nobody =
        Aws.kms(proxy.endpoint())
            .credentialsProvider(
                () -> {
                  throw SdkClientException.create("Unable to load credentials");
                })
            .build()) {
      RootKeyException failure = failureOf(AwsKmsRootKey.open(nobody, key));
      assertEquals(UNAVAILABLE, failure.reason());
      assertTrue(failure.getMessage().contains("there are no credentials"), failure::getMessage);
    }
  }

  @Test
  void interruptedThread_keepsItsInterrupt() {
    Thread.currentThread().interrupt();
    RootKeyException failure = failureOf(rootKey);
    assertTrue(Thread.interrupted());
    assertEquals(UNAVAILABLE, failure.reason());
    rootKey.unwrap(wrapped, CONTEXT).close();
  }

  @Test
  void keyThatIsDisabledOrGoing_isDisabled() {
    client.disableKey(r -> r.keyId(idOf(key)));
    assertEquals(DISABLED, failureOf(rootKey).reason());
    client.enableKey(r -> r.keyId(idOf(key)));
    client.scheduleKeyDeletion(r -> r.keyId(idOf(key)).pendingWindowInDays(7));
    try {
      long before = proxy.calls("DescribeKey");
      assertEquals(DISABLED, failureOf(rootKey).reason());
      assertEquals(before + 1, proxy.calls("DescribeKey"), "asked for the state");
    } finally {
      client.cancelKeyDeletion(r -> r.keyId(idOf(key)));
    }
    client.enableKey(r -> r.keyId(idOf(key)));
    rootKey.unwrap(wrapped, CONTEXT).close();
  }

  @ParameterizedTest
  @CsvSource({
    "PendingDeletion, DISABLED",
    "PendingImport, DISABLED",
    "PendingReplicaDeletion, DISABLED",
    "Disabled, DISABLED",
    "SomethingNew, DISABLED",
    "Unavailable, UNAVAILABLE",
    "Creating, UNAVAILABLE",
    "Updating, UNAVAILABLE",
    "Enabled, UNAVAILABLE"
  })
  void invalidState_isWhatDescribeKeySays(String state, Reason reason) {
    proxy.next(
        "DescribeKey",
        AwsProxy.page(200, "{\"KeyMetadata\":{\"KeyId\":\"x\",\"KeyState\":\"" + state + "\"}}"));
    // Whatever the message says.
    proxy.next("Decrypt", AwsProxy.error(400, "KMSInvalidStateException", "is pending deletion"));
    assertEquals(reason, failureOf(rootKey).reason());
  }

  @Test
  void invalidState_withoutAnAnswerOrAState_isDisabled() {
    for (AwsProxy.Fault fault :
        new AwsProxy.Fault[] {
          AwsProxy.error(400, "AccessDeniedException"),
          AwsProxy.error(500, "KMSInternalException"),
          AwsProxy.reset(),
          AwsProxy.page(200, "{}"),
          AwsProxy.page(200, "{\"KeyMetadata\":{\"KeyId\":\"x\"}}")
        }) {
      proxy.next("DescribeKey", fault);
      proxy.next("Decrypt", AwsProxy.error(400, "KMSInvalidStateException"));
      assertEquals(DISABLED, failureOf(rootKey).reason());
    }
  }
}
