package dev.sealwax.kms.aws;

import java.time.Duration;
import org.jspecify.annotations.Nullable;
import software.amazon.awssdk.awscore.AwsRequestOverrideConfiguration;
import software.amazon.awssdk.core.SdkServiceClientConfiguration;

/**
 * How long one call may take, all attempts of the SDK together: what the client is configured for,
 * or {@link #DEFAULT}, because the SDK's own default is no limit. A time-out and not an interrupt,
 * which most HTTP clients notice only when the answer is there. Immutable.
 */
record CallLimit(Duration duration, boolean ofClient) {
  static final Duration DEFAULT = Duration.ofSeconds(10);

  static CallLimit of(SdkServiceClientConfiguration client) {
    return client
        .overrideConfiguration()
        .apiCallTimeout()
        .map(timeout -> new CallLimit(timeout, /* ofClient= */ true))
        .orElse(new CallLimit(DEFAULT, /* ofClient= */ false));
  }

  /** What a request has to say; null where the client says it. */
  @Nullable AwsRequestOverrideConfiguration asConfiguration() {
    return ofClient
        ? null
        : AwsRequestOverrideConfiguration.builder().apiCallTimeout(duration).build();
  }

  /** What is left of it, and never nothing: the SDK takes no zero. */
  CallLimit minus(Duration spent) {
    Duration left = duration.minus(spent);
    Duration least = Duration.ofMillis(1);
    return new CallLimit(left.compareTo(least) > 0 ? left : least, /* ofClient= */ false);
  }
}
