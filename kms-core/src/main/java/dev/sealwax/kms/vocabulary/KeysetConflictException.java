package dev.sealwax.kms.vocabulary;

/**
 * Another writer replaced the stored keyset first, or created one of that name. What to do: load
 * the keyset again and decide anew; nothing was written.
 */
public final class KeysetConflictException extends KmsException {
  private static final long serialVersionUID = 1L;

  private final KeysetId keyset;

  public KeysetConflictException(KeysetId keyset, String problem) {
    super("keyset " + keyset + " was changed by another writer: " + problem, null);
    this.keyset = keyset;
  }

  public KeysetId keyset() {
    return keyset;
  }
}
