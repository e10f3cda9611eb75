package dev.sealwax.kms.envelope;

import dev.sealwax.kms.events.Announcer;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KmsEvent;
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

  static void end(
      @Nullable Observation observation, long bytes, @Nullable RuntimeException failure) {
    if (observation != null) {
      observation.announcer.tell(
          observation.operation,
          observation.keyset,
          observation.keyVersion,
          observation.cache,
          bytes,
          observation.startNanos,
          failure);
    }
  }
}
