/**
 * What an implementation of a Sealwax interface must pass, and the module that brings it, as
 * abstract JUnit classes to extend; and doubles of these interfaces, for the tests of applications.
 */
@NullMarked
package dev.sealwax.kms.testkit;

import org.jspecify.annotations.NullMarked;
