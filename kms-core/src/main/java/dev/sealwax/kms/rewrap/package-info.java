/**
 * Moves stored envelopes to the primary key version, by their headers and in bulk, and says which
 * data still needs an old one: {@link dev.sealwax.kms.rewrap.Rewrapper} and {@link
 * dev.sealwax.kms.rewrap.Inventory} over any {@link dev.sealwax.kms.rewrap.EnvelopeSource}.
 */
@NullMarked
package dev.sealwax.kms.rewrap;

import org.jspecify.annotations.NullMarked;
