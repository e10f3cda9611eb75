package dev.sealwax.kms.examples;

/** What is wrong with what the user passed, in words for that user. */
final class InputException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  InputException(String message) {
    super(message);
  }
}
