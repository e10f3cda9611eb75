package dev.sealwax.kms.vocabulary;

import java.time.Duration;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * One operation that has ended, well or not. Holds no secret and no context value.
 *
 * @param operation what was done
 * @param keyset the keyset it was done with
 * @param keyVersion the key version, or 0 if the operation ended before one was known or concerns
 *     the whole keyset
 * @param change which change of a keyset it was; NONE if the operation is no {@link
 *     Operation#KEYSET_CHANGE}
 * @param cache whether a cache served it
 * @param outcome how it ended
 * @param bytes bytes of plaintext, of an abandoned decryption those that were handed out; 0 where
 *     there is none, the operation failed, or an encryption was abandoned
 * @param duration time from call to result, of a stream or channel to its end; of {@link
 *     Operation#OUTAGE_SERVED} the age of the key version
 * @param failure what was thrown; present if and only if the outcome is FAILURE
 */
public record KmsEvent(
    Operation operation,
    KeysetId keyset,
    int keyVersion,
    Change change,
    CacheResult cache,
    Outcome outcome,
    long bytes,
    Duration duration,
    @Nullable Throwable failure) {
  /** What was done. */
  public enum Operation {
    /** A message was encrypted, or a stream was encrypted to its end or abandoned. */
    ENCRYPT,
    /**
     * A message was decrypted, a stream was decrypted to its end or abandoned, or a channel with
     * random access was closed or met its first failure.
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
    /**
     * A key version served past its hard time to live, because an outage of the root key kept it
     * from being unwrapped anew.
     */
    OUTAGE_SERVED,
    /** A keyset document was read from the store and authenticated. */
    KEYSET_LOAD,
    /**
     * An operator's verb changed a keyset; with the key version, if the verb was given one, and the
     * {@link Change}.
     */
    KEYSET_CHANGE
  }

  /** Which change of a keyset, named after the verb of {@code Keysets}. */
  public enum Change {
    /** The operation does not change a keyset. */
    NONE,
    /** A keyset was created. */
    CREATE,
    /** A new version was made the primary. */
    ROTATE,
    /** A pending version was added, by an operator or because rotation is due. */
    PUBLISH,
    /** A version was made the primary, by an operator or because rotation is due. */
    PROMOTE,
    /** The primary before was made the primary again. */
    ROLLBACK,
    /** The rotation policy was replaced. */
    SET_ROTATION_POLICY,
    /** A version was switched off. */
    DISABLE,
    /** A version was switched on again. */
    ENABLE,
    /** A version was marked as known to an adversary. */
    COMPROMISE,
    /** The destruction of a version, or of all, was scheduled. */
    SCHEDULE_DESTRUCTION,
    /** The same, overriding that they are in use. */
    SCHEDULE_DESTRUCTION_DESPITE_USE,
    /** A scheduled destruction was taken back. */
    CANCEL_DESTRUCTION,
    /** The material of one or more versions was deleted. */
    DESTROY,
    /** A version or the keyset was given a date of expiry. */
    SET_EXPIRY,
    /** A date of expiry was taken away. */
    REMOVE_EXPIRY,
    /** The keyset was put under a hold. */
    PLACE_HOLD,
    /** The hold was ended. */
    RELEASE_HOLD,
    /** Every version was wrapped with another root key. */
    MOVE_TO_ROOT_KEY,
    /** Every version was wrapped anew, because root keys of a quorum were missing. */
    REPAIR_WRAPS,
    /** Other root keys may hold its keys, and every version was wrapped anew by those that may. */
    SET_ROOT_KEY_RULE
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

  /** How an operation ended. */
  public enum Outcome {
    /** It did what it should. */
    SUCCESS,
    /** It threw, or met a failure that had been thrown before. */
    FAILURE,
    /**
     * The application gave a stream up, by {@code abort} or by closing it before its end: what was
     * read of it is authentic, but nobody knows whether there was more to come; what was written
     * does not decrypt.
     */
    ABANDONED
  }

  /** Checks that a failure has an exception and nothing else has. */
  public KmsEvent {
    Objects.requireNonNull(operation, "operation");
    Objects.requireNonNull(keyset, "keyset id");
    Objects.requireNonNull(change, "change");
    Objects.requireNonNull(cache, "cache result");
    Objects.requireNonNull(outcome, "outcome");
    Objects.requireNonNull(duration, "duration");
    if ((failure != null) != (outcome == Outcome.FAILURE)) {
      throw new IllegalArgumentException("an event of outcome " + outcome + " has " + failure);
    }
  }

  /** Whether the operation succeeded. */
  public boolean isSuccess() {
    return outcome == Outcome.SUCCESS;
  }
}
