package dev.sealwax.kms.examples;

import dev.sealwax.kms.envelope.EnvelopeCipher;
import java.io.IOException;
import java.util.Optional;

/** A table or a folder on its way through {@link ProtectFiles}: each step is one method. */
interface Part {
  EnvelopeCipher cipher();

  /** What the steps have measured. */
  PartFigures figures();

  /**
   * Reads the input, so that what is wrong with it comes out before anything is written.
   *
   * @return whether all of it can be protected
   */
  boolean check(Terminal terminal) throws IOException;

  /** Writes envelopes of the input to the work directory. */
  void encrypt(Terminal terminal) throws IOException;

  /** Opens every envelope and compares with what was encrypted. */
  void open(Terminal terminal) throws IOException;

  /** Moves every envelope to the primary key version. */
  void rewrap(Terminal terminal) throws IOException;

  /** The envelopes as they lie there, sealed. */
  Payloads payloads(Terminal terminal) throws IOException;

  /** Some envelope, unless there is none of a size to handle in memory. */
  Optional<Sample> sample() throws IOException;
}
