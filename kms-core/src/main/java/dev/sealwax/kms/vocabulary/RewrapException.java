package dev.sealwax.kms.vocabulary;

import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A bulk rewrap did not start, or stopped before its end. What it had moved by then stays moved, no
 * record is half done, and a run with the same checkpoint goes on where this one stopped. What to
 * do before that depends on the {@link Reason}.
 */
public final class RewrapException extends KmsException {
  private static final long serialVersionUID = 1L;

  /** Why it stopped. */
  public enum Reason {
    /**
     * The checkpoint belongs to another job: other sources, other keysets, or a primary that has
     * changed since. Use the checkpoint of this job, or delete it to scan from the beginning.
     */
    OTHER_JOB,
    /** The checkpoint is damaged or was edited; delete it to scan from the beginning. */
    CHECKPOINT_CORRUPTED,
    /** The checkpoint cannot be read or written; mend its place, then run again. */
    CHECKPOINT_UNAVAILABLE,
    /** The source failed for longer than the run's patience; mend it, then run again. */
    SOURCE_UNAVAILABLE,
    /**
     * Key versions could not be fetched for longer than the run's patience, or a primary may not be
     * used; see the cause, then run again.
     */
    KEYS_UNAVAILABLE,
    /** The thread was interrupted; its interrupt status is set again. */
    INTERRUPTED
  }

  private final Reason reason;

  public RewrapException(Reason reason, String problem, @Nullable Throwable cause) {
    super("rewrap stopped: " + problem + " (" + reason + ")", cause);
    this.reason = Objects.requireNonNull(reason, "reason");
  }

  private RewrapException(RewrapException original) {
    super(original);
    this.reason = original.reason;
  }

  public Reason reason() {
    return reason;
  }

  @Override
  public RewrapException forAnotherCaller() {
    return new RewrapException(this);
  }
}
