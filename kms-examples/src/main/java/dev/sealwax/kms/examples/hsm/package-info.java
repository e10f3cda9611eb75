/** Examples with the root key in an HSM; without one they bring up SoftHSM. */
@NullMarked
package dev.sealwax.kms.examples.hsm;

import org.jspecify.annotations.NullMarked;
