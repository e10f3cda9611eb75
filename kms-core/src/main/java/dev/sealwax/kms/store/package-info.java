/**
 * Stores: where keyset documents are kept and changed by compare-and-set, in memory or in files,
 * and the interface for others. Documents are opaque here; what they say is the business of the
 * keysets.
 */
@NullMarked
package dev.sealwax.kms.store;

import org.jspecify.annotations.NullMarked;
