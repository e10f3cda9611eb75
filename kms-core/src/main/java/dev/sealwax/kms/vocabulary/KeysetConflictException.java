package dev.sealwax.kms.vocabulary;

import java.util.Objects;

/**
 * Another writer replaced the stored keyset first, or the name is taken. What to do: load the
 * keyset again and decide anew, or choose another name; nothing was written.
 */
public final class KeysetConflictException extends KmsException {
  private static final long serialVersionUID = 1L;

  private final KeysetId keyset;

  public KeysetConflictException(KeysetId keyset, String problem) {
    super("keyset " + keyset + " was not written: " + problem, null);
    this.keyset = Objects.requireNonNull(keyset, "keyset id");
  }

  private KeysetConflictException(KeysetConflictException original) {
    super(original);
    this.keyset = original.keyset;
  }

  public KeysetId keyset() {
    return keyset;
  }

  @Override
  public KeysetConflictException forAnotherCaller() {
    return new KeysetConflictException(this);
  }
}
