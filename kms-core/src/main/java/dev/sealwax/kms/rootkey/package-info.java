/** The root key SPI, the root key that lives in a file, and several root keys behind one. */
@NullMarked
package dev.sealwax.kms.rootkey;

import org.jspecify.annotations.NullMarked;
