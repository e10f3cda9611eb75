package dev.sealwax.kms.vocabulary;

/**
 * The envelope is not authentic for this key and context: tampered with, truncated, sealed under
 * another key, or opened with another context.
 *
 * <p>One type, one message, no cause: telling these apart would help an attacker. What to do: do
 * not retry; treat the data as lost or hostile, and check that the context is the one used to
 * encrypt.
 */
public final class DecryptionFailedException extends KmsException {
  private static final long serialVersionUID = 1L;

  public DecryptionFailedException() {
    super(
        "envelope is not authentic for this keyset and context; check that the context is the one"
            + " used to encrypt",
        null);
  }

  private DecryptionFailedException(DecryptionFailedException original) {
    super(original);
  }

  @Override
  public DecryptionFailedException forAnotherCaller() {
    return new DecryptionFailedException(this);
  }
}
