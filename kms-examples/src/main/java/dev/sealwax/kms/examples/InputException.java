package dev.sealwax.kms.examples;

/** What is wrong with what the user passed, in words for that user. */
public final class InputException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public InputException(String message) {
    super(message);
  }
}
