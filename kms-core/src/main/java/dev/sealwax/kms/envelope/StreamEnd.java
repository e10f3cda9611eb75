package dev.sealwax.kms.envelope;

import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/**
 * Counts and reports the end of one stream or channel, once: that of its own thread, or of another
 * one that closes it.
 */
final class StreamEnd {
  private final @Nullable Observation observation;
  private final LongConsumer onSuccess;
  private final Runnable onFailure;
  private final AtomicBoolean reported = new AtomicBoolean();

  StreamEnd(@Nullable Observation observation, LongConsumer onSuccess, Runnable onFailure) {
    this.observation = observation;
    this.onSuccess = onSuccess;
    this.onFailure = onFailure;
  }

  void succeeded(long bytes) {
    if (!reported.getAndSet(true)) {
      onSuccess.accept(bytes);
      Observation.end(observation, bytes, null);
    }
  }

  void failed(RuntimeException failure) {
    if (!reported.getAndSet(true)) {
      onFailure.run();
      Observation.end(observation, 0, failure);
    }
  }
}
