/**
 * The façade: {@link dev.sealwax.kms.Kms} wires a root key, a keyset store and the caches together.
 */
@NullMarked
package dev.sealwax.kms;

import org.jspecify.annotations.NullMarked;
