package dev.sealwax.kms.vocabulary;

import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * One finished operation, successful or not. Holds no secret and no context value.
 *
 * @param operation what was done
 * @param keyset the keyset it was done with
 * @param keyVersion the key version, or 0 if the operation ended before one was known or concerns
 *     the whole keyset
 * @param cache whether a cache served it
 * @param bytes bytes of plaintext, or 0 where there is none or the operation failed
 * @param duration time from call to result, of a stream or channel to its end
 * @param failure what was thrown, or null if the operation succeeded; an {@link
 *     java.io.IOException} comes within an {@link java.io.UncheckedIOException}
 */
public record KmsEvent(
    Operation operation,
    KeysetId keyset,
    int keyVersion,
    CacheResult cache,
    long bytes,
    Duration duration,
    @Nullable RuntimeException failure) {
  /** What was done. */
  public enum Operation {
    /** A message was encrypted, or a stream was encrypted to its end. */
    ENCRYPT,
    /**
     * A message was decrypted, a stream was decrypted to its end, or a channel with random access
     * was closed or met its first failure.
     */
    DECRYPT,
    /** A header was moved to the primary key version. */
    REWRAP,
    /** A message was decrypted and encrypted anew under a fresh data key. */
    REENCRYPT,
    /** The root key wrapped a key version. */
    ROOT_WRAP,
    /** The root key unwrapped a key version. */
    ROOT_UNWRAP,
    /** A keyset document was read from the store and authenticated. */
    KEYSET_LOAD,
    /** An operator's verb changed a keyset; with the key version, if the verb was given one. */
    KEYSET_CHANGE
  }

  /** Whether a cache served the operation. */
  public enum CacheResult {
    /** The key was in memory. */
    HIT,
    /** The key had to be made or unwrapped. */
    MISS,
    /** No cache is concerned. */
    NONE
  }

  /** Whether the operation succeeded. */
  public boolean isSuccess() {
    return failure == null;
  }
}
