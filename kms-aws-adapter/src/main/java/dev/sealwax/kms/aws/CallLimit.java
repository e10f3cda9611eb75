package dev.sealwax.kms.aws;

import java.time.Duration;
import software.amazon.awssdk.awscore.AwsRequestOverrideConfiguration;
import software.amazon.awssdk.core.SdkServiceClientConfiguration;

/**
 * How long one call may take, all attempts of the SDK together: what the client is configured for,
 * or {@link #DEFAULT}, because the SDK's own default is no limit. A time-out and not an interrupt,
 * which most HTTP clients notice only when the answer is there. Immutable.
 */
record CallLimit(Duration duration) {
  static final Duration DEFAULT = Duration.ofSeconds(10);

  static CallLimit of(SdkServiceClientConfiguration client) {
    return new CallLimit(client.overrideConfiguration().apiCallTimeout().orElse(DEFAULT));
  }

  AwsRequestOverrideConfiguration asConfiguration() {
    return AwsRequestOverrideConfiguration.builder().apiCallTimeout(duration).build();
  }

  /** What is left of it, and never nothing: the SDK takes no zero. */
  CallLimit minus(Duration spent) {
    Duration left = duration.minus(spent);
    return new CallLimit(left.compareTo(Duration.ofMillis(1)) > 0 ? left : Duration.ofMillis(1));
  }
}
