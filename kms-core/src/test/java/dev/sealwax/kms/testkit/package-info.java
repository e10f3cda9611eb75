/** What an implementation of a Sealwax interface must pass: abstract JUnit classes to extend. */
@NullMarked
package dev.sealwax.kms.testkit;

import org.jspecify.annotations.NullMarked;
