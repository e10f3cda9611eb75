package dev.sealwax.kms.crypto;

/**
 * A keyed cipher was closed before this use of it began; whoever holds the key's owner fetches a
 * new one.
 */
public final class KeyClosedException extends IllegalStateException {
  private static final long serialVersionUID = 1L;

  KeyClosedException() {
    super("key is closed");
  }
}
