package dev.sealwax.kms.examples.remote;

import dev.sealwax.kms.vocabulary.RootKeyException.Reason;
import org.jspecify.annotations.Nullable;

/** What may be wrong with the service that has a root key. */
enum Fault {
  NONE(null),
  DOWN(Reason.UNAVAILABLE),
  THROTTLED(Reason.THROTTLED),
  /** It answers, and takes {@link FaultSwitch#SLOW_MILLIS} for it. */
  SLOW(null),
  DENIED(Reason.ACCESS_DENIED),
  DISABLED(Reason.DISABLED),
  /** It takes the question and does not answer. */
  HANGING(null);

  final @Nullable Reason reason;

  Fault(@Nullable Reason reason) {
    this.reason = reason;
  }

  /** Whether it fails in a way that may pass by itself. */
  boolean isOutage() {
    return reason != null && reason.isRetryable();
  }
}
