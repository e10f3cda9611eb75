package dev.sealwax.kms.rewrap;

import java.io.IOException;

/**
 * A check of the caller's own, for {@link Rewrapper#verify}: usually it reads the record, decrypts
 * it in its context, and forgets the plaintext. Must be safe for concurrent use.
 */
@FunctionalInterface
public interface EnvelopeCheck {
  /**
   * Whether the record is as it should be. A failure of decryption that is thrown means no.
   *
   * @throws IOException if the record cannot be read now; the call is repeated, as for a source
   */
  boolean accepts(EnvelopeSource source, EnvelopeRecord record) throws IOException;
}
