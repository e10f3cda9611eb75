/**
 * What applications use: {@link dev.sealwax.kms.envelope.EnvelopeCipher} turns plaintext into
 * envelopes and back, with the envelope codec, the data keys and their cache behind it.
 */
@NullMarked
package dev.sealwax.kms.envelope;

import org.jspecify.annotations.NullMarked;
