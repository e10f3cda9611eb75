/**
 * The one cache contract that unwrapped key versions and data keys share, and what all need whose
 * callers wait for each other's work: exceptions of their own, and room on the stack. Not exported
 * from the module; everything here may change without notice.
 */
@NullMarked
package dev.sealwax.kms.cache;

import org.jspecify.annotations.NullMarked;
