/**
 * The one cache contract that unwrapped key versions and data keys share. Not exported from the
 * module; everything here may change without notice.
 */
@NullMarked
package dev.sealwax.kms.cache;

import org.jspecify.annotations.NullMarked;
