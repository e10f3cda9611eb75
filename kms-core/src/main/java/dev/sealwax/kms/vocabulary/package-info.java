/**
 * The words every other package speaks: names, contexts, secret bytes, limits, health, events and
 * failures. Imports nothing of ours.
 */
@NullMarked
package dev.sealwax.kms.vocabulary;

import org.jspecify.annotations.NullMarked;
