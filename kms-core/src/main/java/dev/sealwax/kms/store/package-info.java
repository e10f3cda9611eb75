/**
 * Stores: where keyset documents are kept and changed by compare-and-set, in memory, in files or in
 * a database, the interface for others, and a guard around any. Documents are opaque here; what
 * they say is the business of the keysets.
 */
@NullMarked
package dev.sealwax.kms.store;

import org.jspecify.annotations.NullMarked;
