/** An example for those who come from Tink. */
@NullMarked
package dev.sealwax.kms.examples.tink;

import org.jspecify.annotations.NullMarked;
