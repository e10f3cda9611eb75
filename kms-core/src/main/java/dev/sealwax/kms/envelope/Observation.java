package dev.sealwax.kms.envelope;

import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KmsEvent;
import dev.sealwax.kms.vocabulary.KmsListener;
import java.time.Duration;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One operation as a listener will hear of it; made only when there is a listener, so that the hot
 * path reads no clock without one. Owned by the operation's thread.
 */
final class Observation {
  private static final Logger log = LoggerFactory.getLogger(Observation.class);

  private final KmsListener listener;
  private final KmsEvent.Operation operation;
  private final KeysetId keyset;
  private final long startNanos = System.nanoTime();
  private int keyVersion;
  private KmsEvent.CacheResult cache = KmsEvent.CacheResult.NONE;

  private Observation(KmsListener listener, KmsEvent.Operation operation, KeysetId keyset) {
    this.listener = listener;
    this.operation = operation;
    this.keyset = keyset;
  }

  static @Nullable Observation start(
      @Nullable KmsListener listener, KmsEvent.Operation operation, KeysetId keyset) {
    return listener == null ? null : new Observation(listener, operation, keyset);
  }

  /** Notes which key version serves the operation and where it came from. */
  static void key(@Nullable Observation observation, int keyVersion, KmsEvent.CacheResult cache) {
    if (observation != null) {
      observation.keyVersion = keyVersion;
      observation.cache = cache;
    }
  }

  static void end(
      @Nullable Observation observation, long bytes, @Nullable RuntimeException failure) {
    if (observation != null) {
      observation.tell(bytes, failure);
    }
  }

  private void tell(long bytes, @Nullable RuntimeException failure) {
    Duration duration = Duration.ofNanos(System.nanoTime() - startNanos);
    try {
      listener.onEvent(
          new KmsEvent(operation, keyset, keyVersion, cache, bytes, duration, failure));
    } catch (RuntimeException | Error e) {
      log.warn("the listener failed on an event of {} on keyset {}", operation, keyset, e);
    }
  }
}
