package dev.sealwax.kms.rewrap;

import dev.sealwax.kms.vocabulary.RewrapException;
import java.time.Duration;

/**
 * Is told how a job goes. Called by one thread at a time, the one that runs the job except for
 * {@link #onPause}; what it throws stops the job.
 */
public interface RewrapListener {
  /** A batch is done, and so is everything before it. */
  default void onProgress(RewrapProgress progress) {}

  /**
   * A record failed. Told for every one of them, while the report keeps the first thousand; after a
   * resume, those of the batch that was under way may be told again.
   */
  default void onFailure(RewrapFailure failure) {}

  /**
   * Keys, source or checkpoint cannot be reached, and the call will be repeated. May be called by
   * several threads.
   *
   * @param reason what the job would stop with
   * @param cause what the call threw
   * @param pause how long until it is repeated
   */
  default void onPause(RewrapException.Reason reason, Exception cause, Duration pause) {}
}
