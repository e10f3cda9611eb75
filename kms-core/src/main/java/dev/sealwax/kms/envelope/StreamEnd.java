package dev.sealwax.kms.envelope;

import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/**
 * Counts and reports the end of one stream or channel, once: that of its own thread, or of another
 * one that closes it. Whichever comes first counts.
 */
final class StreamEnd {
  private final @Nullable Observation observation;
  private final Traffic traffic;
  private final LongConsumer onSuccess;
  private final boolean tellsSuccessOnly;
  private final AtomicBoolean reported = new AtomicBoolean();

  private StreamEnd(
      @Nullable Observation observation,
      Traffic traffic,
      LongConsumer onSuccess,
      boolean tellsSuccessOnly) {
    this.observation = observation;
    this.traffic = traffic;
    this.onSuccess = onSuccess;
    this.tellsSuccessOnly = tellsSuccessOnly;
  }

  static StreamEnd ofEncryption(@Nullable Observation observation, Traffic traffic) {
    return new StreamEnd(observation, traffic, traffic::encrypted, /* tellsSuccessOnly= */ false);
  }

  static StreamEnd ofDecryption(@Nullable Observation observation, Traffic traffic) {
    return new StreamEnd(observation, traffic, traffic::decrypted, /* tellsSuccessOnly= */ false);
  }

  /** Of the half of a re-encryption that decrypts; how it all ends is told by the other half. */
  static StreamEnd ofDecryptionToReencrypt(Traffic traffic) {
    return new StreamEnd(null, traffic, traffic::decrypted, /* tellsSuccessOnly= */ true);
  }

  void succeeded(long bytes) {
    if (!reported.getAndSet(true)) {
      onSuccess.accept(bytes);
      Observation.succeeded(observation, bytes);
    }
  }

  void failed(Throwable failure) {
    if (!reported.getAndSet(true) && !tellsSuccessOnly) {
      traffic.failures.increment();
      Observation.failed(observation, failure);
    }
  }

  /**
   * The application gave the stream up before its end.
   *
   * @param bytes of plaintext that it was given
   */
  void abandoned(long bytes) {
    if (!reported.getAndSet(true) && !tellsSuccessOnly) {
      traffic.abandoned.increment();
      Observation.abandoned(observation, bytes);
    }
  }
}
