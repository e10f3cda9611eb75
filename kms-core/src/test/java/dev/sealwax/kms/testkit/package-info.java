/** The contract that every root key provider passes, and a root key that fails on demand. */
@NullMarked
package dev.sealwax.kms.testkit;

import org.jspecify.annotations.NullMarked;
