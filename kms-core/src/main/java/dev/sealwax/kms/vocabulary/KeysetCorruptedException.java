package dev.sealwax.kms.vocabulary;

import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The stored keyset document is damaged, was edited outside Sealwax, or was rolled back to an older
 * one. Nothing of it was used. What to do: restore the document from a backup and find out who
 * wrote it.
 */
public final class KeysetCorruptedException extends KmsException {
  private static final long serialVersionUID = 1L;

  private final KeysetId keyset;

  public KeysetCorruptedException(KeysetId keyset, String problem, @Nullable Throwable cause) {
    super("document of keyset " + keyset + " is not trustworthy: " + problem, cause);
    this.keyset = Objects.requireNonNull(keyset, "keyset id");
  }

  private KeysetCorruptedException(KeysetCorruptedException original) {
    super(original);
    this.keyset = original.keyset;
  }

  public KeysetId keyset() {
    return keyset;
  }

  @Override
  public KeysetCorruptedException forAnotherCaller() {
    return new KeysetCorruptedException(this);
  }
}
