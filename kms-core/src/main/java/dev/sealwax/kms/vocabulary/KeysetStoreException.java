package dev.sealwax.kms.vocabulary;

import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** The keyset store could not serve the request. What to do depends on the {@link Reason}. */
public final class KeysetStoreException extends KmsException {
  private static final long serialVersionUID = 1L;

  /** What went wrong, and whether trying again can help. */
  public enum Reason {
    /** No keyset of that name: check name and store, restore it if it was there, or create it. */
    NOT_FOUND(false),
    /** The store itself is missing, unreadable or read-only; mend its place or permissions. */
    INACCESSIBLE(false),
    /**
     * The store failed while reading or writing; whether a write took effect is known after a
     * reload.
     */
    UNAVAILABLE(true);

    private final boolean retryable;

    Reason(boolean retryable) {
      this.retryable = retryable;
    }

    /** Whether the same call may succeed later without anybody's action. */
    public boolean isRetryable() {
      return retryable;
    }
  }

  private final Reason reason;

  public KeysetStoreException(Reason reason, String problem, @Nullable Throwable cause) {
    super("keyset store: " + problem + " (" + reason + ")", cause);
    this.reason = Objects.requireNonNull(reason, "reason");
  }

  private KeysetStoreException(KeysetStoreException original) {
    super(original);
    this.reason = original.reason;
  }

  public Reason reason() {
    return reason;
  }

  @Override
  public KeysetStoreException forAnotherCaller() {
    return new KeysetStoreException(this);
  }
}
