package dev.sealwax.kms.vocabulary;

import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** The root key could not do its work. What to do depends on the {@link Reason}. */
public final class RootKeyException extends KmsException {
  private static final long serialVersionUID = 1L;

  /** The closed list that every provider translates its native errors to. */
  public enum Reason {
    /** No such root key; check the configured id or path. */
    NOT_FOUND(false),
    /** The root key exists and is switched off; switch it on in its service. */
    DISABLED(false),
    /** Credentials, passphrase or permissions do not allow the use. */
    ACCESS_DENIED(false),
    /** The wrapped key was not made by this root key for this context, or was altered. */
    INVALID_CIPHERTEXT(false),
    /** Too many requests; slow down and try again. */
    THROTTLED(true),
    /** The service or device cannot be reached now. */
    UNAVAILABLE(true),
    /**
     * The root key cannot do this at all, for instance wrap a secret too long for it, or create a
     * file where there is one: files are never overwritten.
     */
    UNSUPPORTED(false),
    /** A failure that the provider has no better word for; see the cause. */
    INTERNAL(false);

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

  public RootKeyException(Reason reason, String problem, @Nullable Throwable cause) {
    super("root key: " + problem + " (" + reason + ")", cause);
    this.reason = Objects.requireNonNull(reason, "reason");
  }

  public RootKeyException(Reason reason, String problem) {
    this(reason, problem, null);
  }

  private RootKeyException(RootKeyException original) {
    super(original);
    this.reason = original.reason;
  }

  public Reason reason() {
    return reason;
  }

  @Override
  public RootKeyException forAnotherCaller() {
    return new RootKeyException(this);
  }
}
