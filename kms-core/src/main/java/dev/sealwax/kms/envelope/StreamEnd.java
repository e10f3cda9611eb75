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
  private final AtomicBoolean reported = new AtomicBoolean();

  private StreamEnd(@Nullable Observation observation, Traffic traffic, LongConsumer onSuccess) {
    this.observation = observation;
    this.traffic = traffic;
    this.onSuccess = onSuccess;
  }

  static StreamEnd ofEncryption(@Nullable Observation observation, Traffic traffic) {
    return new StreamEnd(observation, traffic, traffic::encrypted);
  }

  static StreamEnd ofDecryption(@Nullable Observation observation, Traffic traffic) {
    return new StreamEnd(observation, traffic, traffic::decrypted);
  }

  void succeeded(long bytes) {
    if (!reported.getAndSet(true)) {
      onSuccess.accept(bytes);
      Observation.succeeded(observation, bytes);
    }
  }

  void failed(Throwable failure) {
    if (!reported.getAndSet(true)) {
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
    if (!reported.getAndSet(true)) {
      traffic.abandoned.increment();
      Observation.abandoned(observation, bytes);
    }
  }
}
