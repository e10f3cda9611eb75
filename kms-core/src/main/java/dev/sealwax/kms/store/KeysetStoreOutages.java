package dev.sealwax.kms.store;

import dev.sealwax.kms.guard.Outages;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import dev.sealwax.kms.vocabulary.KeysetStoreException.Reason;
import dev.sealwax.kms.vocabulary.KmsException;
import org.jspecify.annotations.Nullable;

/** What is an outage of a keyset store, and how one is told. */
enum KeysetStoreOutages implements Outages<Reason> {
  INSTANCE;

  @Override
  public KmsException unavailable(String problem, @Nullable Throwable cause) {
    return new KeysetStoreException(Reason.UNAVAILABLE, problem, cause);
  }

  @Override
  public KmsException busy(String problem) {
    return unavailable(problem, null);
  }

  @Override
  public Reason timeoutReason() {
    return Reason.UNAVAILABLE;
  }

  @Override
  public @Nullable Reason outage(Throwable failure) {
    return failure instanceof KeysetStoreException e && e.reason().isRetryable()
        ? e.reason()
        : null;
  }
}
