package dev.sealwax.kms.aws;

import java.time.Duration;
import software.amazon.awssdk.awscore.retry.AwsRetryStrategy;
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
 * <p>At most 3 attempts (the SDK's retry mode {@code STANDARD}) or only one, each ended after
 * {@link #ATTEMPT_TIMEOUT}, all of them after {@link #CALL_TIMEOUT}, over the JDK's own HTTP
 * client. What is not set here (region, credentials, endpoint, FIPS) is as usual in the SDK; any of
 * it may be set before {@code build}. But the SDK's {@code overrideConfiguration} replaces all of
 * the above: a builder that gets another one has the SDK's retries and no limits, except for what
 * that one says. Whoever builds a client closes it.
 *
 * <p>Needs {@code software.amazon.awssdk:url-connection-client} beside this module, and {@code
 * dynamodb} for the clients of DynamoDB. Any client of the SDK does as well.
 */
public final class AwsClients {
  /** How long one attempt may take. */
  public static final Duration ATTEMPT_TIMEOUT = Duration.ofSeconds(3);

  /** How long a call may take in all. */
  public static final Duration CALL_TIMEOUT = Duration.ofSeconds(10);

  private AwsClients() {}

  /** Starts to build a client for {@link AwsKmsRootKey} whose calls nobody else repeats. */
  public static KmsClientBuilder kms() {
    return kms(withRetries());
  }

  /**
   * Starts to build a client for an {@link AwsKmsRootKey} whose calls a {@link
   * dev.sealwax.kms.rootkey.ResilientRootKey} repeats: with the same limits and one attempt for
   * each call, because the attempts of both would multiply.
   */
  public static KmsClientBuilder kmsWithoutRetries() {
    return kms(withoutRetries());
  }

  private static KmsClientBuilder kms(ClientOverrideConfiguration.Builder configuration) {
    return KmsClient.builder()
        .httpClientBuilder(UrlConnectionHttpClient.builder())
        .overrideConfiguration(configuration.build());
  }

  /** Starts to build a client for a {@link DynamoDbKeysetStore} whose calls nobody else repeats. */
  public static DynamoDbClientBuilder dynamoDb() {
    return dynamoDb(withRetries());
  }

  /**
   * Starts to build a client for a {@link DynamoDbKeysetStore} whose reads a {@link
   * dev.sealwax.kms.store.ResilientKeysetStore} repeats: with the same limits and one attempt for
   * each call.
   */
  public static DynamoDbClientBuilder dynamoDbWithoutRetries() {
    return dynamoDb(withoutRetries());
  }

  private static DynamoDbClientBuilder dynamoDb(ClientOverrideConfiguration.Builder configuration) {
    return DynamoDbClient.builder()
        .httpClientBuilder(UrlConnectionHttpClient.builder())
        .overrideConfiguration(configuration.build());
  }

  private static ClientOverrideConfiguration.Builder withRetries() {
    return limits().retryStrategy(RetryMode.STANDARD);
  }

  private static ClientOverrideConfiguration.Builder withoutRetries() {
    return limits().retryStrategy(AwsRetryStrategy.doNotRetry());
  }

  private static ClientOverrideConfiguration.Builder limits() {
    return ClientOverrideConfiguration.builder()
        .apiCallAttemptTimeout(ATTEMPT_TIMEOUT)
        .apiCallTimeout(CALL_TIMEOUT);
  }
}
