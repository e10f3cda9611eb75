package dev.sealwax.kms.aws;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.INTERNAL;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.NOT_FOUND;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNAVAILABLE;

import dev.sealwax.kms.vocabulary.RootKeyException;
import dev.sealwax.kms.vocabulary.RootKeyException.Reason;
import java.time.Duration;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import software.amazon.awssdk.awscore.AwsRequestOverrideConfiguration;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.services.kms.KmsClient;
import software.amazon.awssdk.services.kms.model.DescribeKeyRequest;
import software.amazon.awssdk.services.kms.model.KeyMetadata;

/**
 * The application's client, with a limit for each call and the translation of its errors. Safe for
 * any thread.
 */
final class KmsConnection {
  private final KmsClient client;
  private final CallLimit limit;
  private final @Nullable AwsRequestOverrideConfiguration configuration;
  private volatile boolean closed;

  KmsConnection(KmsClient client) {
    this.client = client;
    this.limit = CallLimit.of(client.serviceClientConfiguration());
    this.configuration = limit.asConfiguration();
  }

  /** What every request takes along, if anything. */
  @Nullable AwsRequestOverrideConfiguration configuration() {
    return configuration;
  }

  /**
   * Makes one call.
   *
   * @param what the call, for messages
   * @param key its key, an ARN or what the caller named
   */
  <T> T call(String what, String key, Function<KmsClient, T> request) {
    requireOpen();
    long started = System.nanoTime();
    try {
      return request.apply(client);
    } catch (SdkException e) {
      Reason reason =
          KmsErrors.isInvalidState(e)
              ? reasonByState(key, limit.minus(Duration.ofNanos(System.nanoTime() - started)))
              : KmsErrors.reasonOf(e);
      throw KmsErrors.translated(what + " with " + key, e, reason);
    }
  }

  /** What the service knows of a key, by any of its names. */
  KeyMetadata describe(String key) {
    KeyMetadata found =
        call("find key", key, kms -> kms.describeKey(describing(key, limit))).keyMetadata();
    if (found == null) {
      throw new RootKeyException(INTERNAL, "KMS answered without a description of " + key);
    }
    return found;
  }

  private Reason reasonByState(String key, CallLimit left) {
    try {
      KeyMetadata found = client.describeKey(describing(key, left)).keyMetadata();
      return KmsErrors.reasonOf(found == null ? null : found.keyState());
    } catch (SdkException e) {
      AwsErrors.keepInterrupt(e);
      return Reason.DISABLED; // the more careful of the two
    }
  }

  private static DescribeKeyRequest describing(String key, CallLimit limit) {
    return DescribeKeyRequest.builder()
        .keyId(key)
        .overrideConfiguration(limit.asConfiguration())
        .build();
  }

  /** The key that an alias or a key id names now. */
  KeyArn resolve(String name) {
    return arnOf(describe(name), name);
  }

  static KeyArn arnOf(KeyMetadata found, String name) {
    KeyArn arn = KeyArn.parse(found.arn());
    if (arn == null) {
      throw new RootKeyException(INTERNAL, "KMS answered without the ARN of " + name);
    }
    return arn;
  }

  /** Refuses an answer that another key was used for, or that does not say which. */
  static void requireFrom(KeyArn expected, @Nullable String answered) {
    if (answered == null) {
      throw new RootKeyException(
          UNAVAILABLE, "KMS answered without saying which key it used; it may be a proxy's page");
    }
    if (!expected.equals(KeyArn.parse(answered))) {
      throw new RootKeyException(
          NOT_FOUND,
          "asked for "
              + expected
              + ", and another key or none was used; look at what answers at this endpoint");
    }
  }

  void requireOpen() {
    if (closed) {
      throw new IllegalStateException("root key is closed");
    }
  }

  /** Ends the use; the client stays open. */
  void close() {
    closed = true;
  }
}
