/** Root keys and signing keys that stay in a PKCS#11 token. */
@NullMarked
package dev.sealwax.kms.pkcs11;

import org.jspecify.annotations.NullMarked;
