package dev.sealwax.kms.rewrap;

import dev.sealwax.kms.vocabulary.EncryptionContext;
import java.io.IOException;
import org.jspecify.annotations.Nullable;

/**
 * Tells in which contexts the records of a job were encrypted, for {@link
 * Rewrapper.Builder#reencryptCompromised}. Must be safe for concurrent use.
 */
@FunctionalInterface
public interface EnvelopeContexts {
  /**
   * The context of a record, usually made of its id; nothing in its header is to be believed here.
   * A wrong one does no harm: the record does not open, is left as it is and listed. So is one
   * whose context nobody knows; anybody who can write to the source can give a record a strange id.
   * What is thrown besides stops the job.
   *
   * @return null if no context is known for it
   * @throws IOException if it cannot be told now; the call is repeated, as for a source
   */
  @Nullable EncryptionContext of(EnvelopeSource source, EnvelopeRecord record) throws IOException;
}
