package dev.sealwax.kms.rewrap;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;

/**
 * A source that can replace whole envelopes and not only their headers, which re-encryption needs;
 * see {@link Rewrapper.Builder#reencryptCompromised}.
 */
public interface WholeEnvelopeSource extends EnvelopeSource {
  /** Makes a new envelope of an old one. */
  @FunctionalInterface
  interface Replacement {
    /**
     * Reads the old envelope to its end and writes the new one. What was written before it throws
     * is no envelope. Closes neither.
     *
     * @throws IOException if either stream fails
     */
    void write(InputStream oldEnvelope, OutputStream newEnvelope) throws IOException;
  }

  /**
   * Replaces one whole envelope by compare-and-set: only where the stored envelope still has the
   * header that was read, and is, when it is replaced, the one that {@code replacement} was given.
   * Neither here nor after a crash in here may the record be left with anything but its old or its
   * new envelope, nor may a concurrent write of the application be lost.
   *
   * <p>Durable when the call returns. If {@code replacement} throws, the record stays as it is and
   * the exception is passed on; after any other exception it may have been replaced.
   *
   * @param record as it was read, with an envelope's header at its start
   * @throws IOException if the source fails, or {@code replacement} throws it
   */
  ReplaceOutcome replaceEnvelope(EnvelopeRecord record, Replacement replacement) throws IOException;
}
