/** Examples for a root key behind a network: its outages, its calls and what they cost. */
@NullMarked
package dev.sealwax.kms.examples.remote;

import org.jspecify.annotations.NullMarked;
