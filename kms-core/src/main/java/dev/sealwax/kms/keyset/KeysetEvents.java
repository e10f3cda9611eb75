package dev.sealwax.kms.keyset;

import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KmsEvent;
import dev.sealwax.kms.vocabulary.KmsEvent.CacheResult;
import dev.sealwax.kms.vocabulary.KmsEvent.Operation;
import dev.sealwax.kms.vocabulary.KmsListener;
import java.time.Duration;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Tells the listener, if there is one, what this package did and how long it took. Safe for any
 * thread.
 */
final class KeysetEvents {
  private static final Logger LOG = LoggerFactory.getLogger(KeysetEvents.class);

  private final @Nullable KmsListener listener;

  KeysetEvents(@Nullable KmsListener listener) {
    this.listener = listener;
  }

  /** Runs {@code work} and reports how it ended. */
  <T> T reporting(Operation operation, KeysetId keyset, int version, Supplier<T> work) {
    KmsListener told = listener;
    if (told == null) {
      return work.get();
    }
    long start = System.nanoTime();
    T result;
    try {
      result = work.get();
    } catch (RuntimeException e) {
      tell(told, operation, keyset, version, start, e);
      throw e;
    }
    tell(told, operation, keyset, version, start, null);
    return result;
  }

  private static void tell(
      KmsListener told,
      Operation operation,
      KeysetId keyset,
      int version,
      long startNanos,
      @Nullable RuntimeException failure) {
    Duration duration = Duration.ofNanos(System.nanoTime() - startNanos);
    try {
      told.onEvent(
          new KmsEvent(operation, keyset, version, CacheResult.NONE, 0, duration, failure));
    } catch (RuntimeException | Error e) {
      LOG.warn("listener failed on {} of keyset {} and was ignored", operation, keyset, e);
    }
  }
}
