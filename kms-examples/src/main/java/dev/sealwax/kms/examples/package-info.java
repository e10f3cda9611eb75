/** Small programs to copy from, each with a {@code main}; {@code ProtectFiles} is the main job. */
@NullMarked
package dev.sealwax.kms.examples;

import org.jspecify.annotations.NullMarked;
