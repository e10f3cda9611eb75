/**
 * Calling what may be slow, down or too busy, within a deadline: attempts, pauses, a circuit, a
 * rate and a bound on callers, for root keys and keyset stores alike. Not exported.
 */
@NullMarked
package dev.sealwax.kms.guard;

import org.jspecify.annotations.NullMarked;
