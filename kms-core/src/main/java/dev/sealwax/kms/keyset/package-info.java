/**
 * Keysets: named, versioned sets of key-encryption keys, their states, their authenticated
 * documents, and the cache of unwrapped key versions.
 */
@NullMarked
package dev.sealwax.kms.keyset;

import org.jspecify.annotations.NullMarked;
