package dev.sealwax.kms.aws;

import java.time.Duration;
import software.amazon.awssdk.core.client.config.ClientOverrideConfiguration;
import software.amazon.awssdk.core.retry.RetryMode;
import software.amazon.awssdk.http.urlconnection.UrlConnectionHttpClient;
import software.amazon.awssdk.services.dynamodb.DynamoDbClient;
import software.amazon.awssdk.services.dynamodb.DynamoDbClientBuilder;
import software.amazon.awssdk.services.kms.KmsClient;
import software.amazon.awssdk.services.kms.KmsClientBuilder;

/**
 * Builders of AWS clients, set up for a few small calls that somebody waits for.
 *
 * <p>At most 3 attempts (the SDK's retry mode {@code STANDARD}), each ended after {@link
 * #ATTEMPT_TIMEOUT}, all of them after {@link #CALL_TIMEOUT}, over the JDK's own HTTP client. What
 * is not set here (region, credentials, endpoint, FIPS) is as usual in the SDK; any of it may be
 * set before {@code build}. Whoever builds a client closes it.
 *
 * <p>Needs {@code software.amazon.awssdk:url-connection-client} beside this module, and {@code
 * dynamodb} for the second method. Any client of the SDK does as well.
 */
public final class AwsClients {
  /** How long one attempt may take. */
  public static final Duration ATTEMPT_TIMEOUT = Duration.ofSeconds(3);

  /** How long a call may take in all. */
  public static final Duration CALL_TIMEOUT = Duration.ofSeconds(10);

  private AwsClients() {}

  /** Starts to build a client for {@link AwsKmsRootKey}. */
  public static KmsClientBuilder kms() {
    return KmsClient.builder()
        .httpClientBuilder(UrlConnectionHttpClient.builder())
        .overrideConfiguration(limits());
  }

  /** Starts to build a client for {@link DynamoDbKeysetStore}. */
  public static DynamoDbClientBuilder dynamoDb() {
    return DynamoDbClient.builder()
        .httpClientBuilder(UrlConnectionHttpClient.builder())
        .overrideConfiguration(limits());
  }

  private static ClientOverrideConfiguration limits() {
    return ClientOverrideConfiguration.builder()
        .retryStrategy(RetryMode.STANDARD)
        .apiCallAttemptTimeout(ATTEMPT_TIMEOUT)
        .apiCallTimeout(CALL_TIMEOUT)
        .build();
  }
}
