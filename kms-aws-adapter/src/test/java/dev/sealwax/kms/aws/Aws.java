package dev.sealwax.kms.aws;

import java.net.URI;
import java.time.Duration;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.dynamodb.DynamoDbClient;
import software.amazon.awssdk.services.kms.KmsClient;
import software.amazon.awssdk.services.kms.KmsClientBuilder;
import software.amazon.awssdk.services.kms.model.KeyUsageType;

/** Clients and keys for tests: of an emulator, with credentials that nobody checks. */
final class Aws {
  static final Region HERE = Region.EU_WEST_1;
  static final Region THERE = Region.EU_CENTRAL_1;

  private static final StaticCredentialsProvider ANYBODY =
      StaticCredentialsProvider.create(AwsBasicCredentials.create("test", "test"));

  private Aws() {}

  static KmsClientBuilder kms(URI endpoint) {
    return of(AwsClients.kms(), endpoint);
  }

  static KmsClientBuilder kmsWithoutRetries(URI endpoint) {
    return of(AwsClients.kmsWithoutRetries(), endpoint);
  }

  private static KmsClientBuilder of(KmsClientBuilder builder, URI endpoint) {
    return builder.region(HERE).endpointOverride(endpoint).credentialsProvider(ANYBODY);
  }

  /** A client that does not wait long, and tries once. */
  static KmsClient impatientKms(URI endpoint, Duration callTimeout) {
    return kms(endpoint)
        .overrideConfiguration(
            limits ->
                limits
                    .retryStrategy(
                        software.amazon.awssdk.awscore.retry.AwsRetryStrategy.doNotRetry())
                    .apiCallTimeout(callTimeout))
        .build();
  }

  static DynamoDbClient dynamoDb(URI endpoint) {
    return AwsClients.dynamoDb()
        .region(HERE)
        .endpointOverride(endpoint)
        .credentialsProvider(ANYBODY)
        .build();
  }

  /** One that tries once, so that a fault meets the store and not the SDK. */
  static DynamoDbClient dynamoDbWithoutRetries(URI endpoint) {
    return AwsClients.dynamoDb()
        .region(HERE)
        .endpointOverride(endpoint)
        .credentialsProvider(ANYBODY)
        .overrideConfiguration(
            limits ->
                limits
                    .retryStrategy(
                        software.amazon.awssdk.awscore.retry.AwsRetryStrategy.doNotRetry())
                    .apiCallTimeout(Duration.ofSeconds(20)))
        .build();
  }

  /** Creates a symmetric key; its ARN. */
  static String createKey(KmsClient client) {
    return client.createKey().keyMetadata().arn();
  }

  static String createSigningKey(KmsClient client, String spec) {
    return client
        .createKey(key -> key.keySpec(spec).keyUsage(KeyUsageType.SIGN_VERIFY))
        .keyMetadata()
        .arn();
  }
}
