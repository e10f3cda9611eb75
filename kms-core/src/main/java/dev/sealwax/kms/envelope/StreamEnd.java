package dev.sealwax.kms.envelope;

import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/** Counts and reports the end of one stream, once. Owned by the stream's thread. */
final class StreamEnd {
  private final @Nullable Observation observation;
  private final LongConsumer onSuccess;
  private final Runnable onFailure;
  private boolean reported;

  StreamEnd(@Nullable Observation observation, LongConsumer onSuccess, Runnable onFailure) {
    this.observation = observation;
    this.onSuccess = onSuccess;
    this.onFailure = onFailure;
  }

  void succeeded(long bytes) {
    if (!reported) {
      reported = true;
      onSuccess.accept(bytes);
      Observation.end(observation, bytes, null);
    }
  }

  void failed(RuntimeException failure) {
    if (!reported) {
      reported = true;
      onFailure.run();
      Observation.end(observation, 0, failure);
    }
  }
}
