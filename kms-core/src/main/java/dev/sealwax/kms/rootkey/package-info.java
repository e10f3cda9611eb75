/** The root key SPI, and the root key that lives in a file. */
@NullMarked
package dev.sealwax.kms.rootkey;

import org.jspecify.annotations.NullMarked;
