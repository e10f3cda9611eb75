package dev.sealwax.kms.envelope;

import dev.sealwax.kms.events.Announcer;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KmsEvent;
import dev.sealwax.kms.vocabulary.KmsEvent.Outcome;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * One operation as a listener will hear of it; made only when there is a listener, so that the hot
 * path reads no clock without one. Owned by the operation's thread.
 */
final class Observation {
  private final Announcer announcer;
  private final KmsEvent.Operation operation;
  private final KeysetId keyset;
  private final long startNanos = System.nanoTime();
  private int keyVersion;
  private KmsEvent.CacheResult cache = KmsEvent.CacheResult.NONE;

  private Observation(Announcer announcer, KmsEvent.Operation operation, KeysetId keyset) {
    this.announcer = announcer;
    this.operation = operation;
    this.keyset = keyset;
  }

  static @Nullable Observation start(
      Announcer announcer, KmsEvent.Operation operation, KeysetId keyset) {
    return announcer.isHeard() ? new Observation(announcer, operation, keyset) : null;
  }

  /** Notes which key version serves the operation and where it came from. */
  static void key(@Nullable Observation observation, int keyVersion, KmsEvent.CacheResult cache) {
    if (observation != null) {
      observation.keyVersion = keyVersion;
      observation.cache = cache;
    }
  }

  static void succeeded(@Nullable Observation observation, long bytes) {
    if (observation != null) {
      observation.end(Outcome.SUCCESS, bytes, null);
    }
  }

  static void failed(@Nullable Observation observation, Throwable failure) {
    if (observation != null) {
      observation.end(Outcome.FAILURE, 0, failure);
    }
  }

  /** The application gave a stream up. */
  static void abandoned(@Nullable Observation observation, long bytes) {
    if (observation != null) {
      observation.end(Outcome.ABANDONED, bytes, null);
    }
  }

  private void end(Outcome outcome, long bytes, @Nullable Throwable failure) {
    announcer.tell(
        new KmsEvent(
            operation,
            keyset,
            keyVersion,
            KmsEvent.Change.NONE,
            cache,
            outcome,
            bytes,
            Duration.ofNanos(System.nanoTime() - startNanos),
            failure));
  }
}
