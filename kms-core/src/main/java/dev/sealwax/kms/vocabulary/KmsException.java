package dev.sealwax.kms.vocabulary;

import org.jspecify.annotations.Nullable;

/**
 * Root of everything Sealwax throws on purpose about keys and data; each subclass answers one
 * question: what should the caller do?
 *
 * <p>Programming errors stay with the JDK's types ({@link NullPointerException}, {@link
 * IllegalArgumentException}, {@link IllegalStateException} after close). No message holds a secret
 * or a context value.
 */
public abstract sealed class KmsException extends RuntimeException
    permits DecryptionFailedException,
        KeyUnavailableException,
        KeysetConflictException,
        KeysetCorruptedException,
        KeysetStoreException,
        KeyStateException,
        MalformedEnvelopeException,
        RewrapException,
        RootKeyException {
  private static final long serialVersionUID = 1L;

  KmsException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }

  /** For {@link #forAnotherCaller}. */
  KmsException(KmsException original) {
    super(original.getMessage(), original);
  }

  /**
   * The same failure for another caller, who has waited for the same work or asked again at once:
   * the same type with the same answers, this one as its cause, and the stack trace of the other
   * caller.
   */
  public abstract KmsException forAnotherCaller();
}
