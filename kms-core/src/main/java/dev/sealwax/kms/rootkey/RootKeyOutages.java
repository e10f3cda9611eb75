package dev.sealwax.kms.rootkey;

import dev.sealwax.kms.guard.Outages;
import dev.sealwax.kms.vocabulary.KmsException;
import dev.sealwax.kms.vocabulary.RootKeyException;
import dev.sealwax.kms.vocabulary.RootKeyException.Reason;
import org.jspecify.annotations.Nullable;

/**
 * What is an outage of a root key, and how one is told: it cannot be reached, or is asked for too
 * much.
 */
enum RootKeyOutages implements Outages<Reason> {
  INSTANCE;

  @Override
  public KmsException unavailable(String problem, @Nullable Throwable cause) {
    return new RootKeyException(Reason.UNAVAILABLE, problem, cause);
  }

  @Override
  public KmsException busy(String problem) {
    return new RootKeyException(Reason.THROTTLED, problem);
  }

  @Override
  public Reason timeoutReason() {
    return Reason.UNAVAILABLE;
  }

  @Override
  public @Nullable Reason outage(Throwable failure) {
    return failure instanceof RootKeyException e && e.reason().isRetryable() ? e.reason() : null;
  }
}
