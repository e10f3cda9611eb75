/**
 * Telling the listener: when it is told, what it is spared, and what it cannot break. Not exported.
 */
@NullMarked
package dev.sealwax.kms.events;

import org.jspecify.annotations.NullMarked;
