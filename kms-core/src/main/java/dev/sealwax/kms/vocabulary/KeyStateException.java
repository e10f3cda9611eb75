package dev.sealwax.kms.vocabulary;

import java.util.Objects;

/**
 * The lifecycle refuses this change of state, for instance enabling a destroyed version. Nothing
 * was written. What to do: read the message; the table of allowed changes is in keyset-v1 §4.
 */
public final class KeyStateException extends KmsException {
  private static final long serialVersionUID = 1L;

  private final KeysetId keyset;
  private final int version;

  public KeyStateException(KeysetId keyset, int version, String problem) {
    super("keyset " + keyset + " version " + version + ": " + problem, null);
    this.keyset = Objects.requireNonNull(keyset, "keyset id");
    this.version = version;
  }

  private KeyStateException(KeyStateException original) {
    super(original);
    this.keyset = original.keyset;
    this.version = original.version;
  }

  public KeysetId keyset() {
    return keyset;
  }

  /** The key version whose state should have changed. */
  public int version() {
    return version;
  }

  @Override
  public KeyStateException forAnotherCaller() {
    return new KeyStateException(this);
  }
}
