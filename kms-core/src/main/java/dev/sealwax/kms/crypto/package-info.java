/**
 * The only classes that hold a JCE cipher or MAC over key bytes: small, keyed, wiped on close. Not
 * exported from the module; everything here may change without notice.
 */
@NullMarked
package dev.sealwax.kms.crypto;

import org.jspecify.annotations.NullMarked;
