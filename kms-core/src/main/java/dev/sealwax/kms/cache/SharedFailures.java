package dev.sealwax.kms.cache;

import dev.sealwax.kms.vocabulary.KmsException;

/**
 * Failures of work that several callers have shared. Each gets an exception of its own: a stack
 * trace that leads to the caller, and suppressed exceptions that no other thread adds to.
 */
public final class SharedFailures {
  private SharedFailures() {}

  /** What to throw to a caller who has only waited for the work that ended so. */
  public static RuntimeException forAnotherCaller(RuntimeException failure) {
    // The type is the contract. Of types that are not ours nobody can make another one.
    return failure instanceof KmsException ours ? ours.forAnotherCaller() : failure;
  }
}
