/** A keyset as an {@code Aead} of Tink, and Tink's envelopes moved under a keyset. */
@NullMarked
package dev.sealwax.kms.tink;

import org.jspecify.annotations.NullMarked;
