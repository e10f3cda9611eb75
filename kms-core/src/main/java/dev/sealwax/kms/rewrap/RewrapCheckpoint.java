package dev.sealwax.kms.rewrap;

import java.io.IOException;
import java.util.Optional;

/**
 * Keeps how far a job has come, so that the next run goes on from there; {@link CheckpointFile} is
 * one. Used by one thread at a time.
 *
 * <p>The text is rewrap-checkpoint-v1: no secret, but it holds the id of a record, which may be
 * sensitive.
 */
public interface RewrapCheckpoint {
  /** The text last saved, or nothing if there is none. */
  Optional<String> load() throws IOException;

  /**
   * Replaces the text, durably and at once: whatever interrupts it, the old or the new text is
   * there.
   *
   * @param text at most 1,048,576 characters, all ASCII
   */
  void save(String text) throws IOException;
}
