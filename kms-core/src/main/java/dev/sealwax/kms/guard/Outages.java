package dev.sealwax.kms.guard;

import dev.sealwax.kms.vocabulary.KmsException;
import org.jspecify.annotations.Nullable;

/**
 * What is an outage of what is called, and how one is told: of root keys, or of keyset stores.
 *
 * @param <R> their reasons
 */
public interface Outages<R extends Enum<R>> {
  /** There is no answer, and a later call may have one. */
  KmsException unavailable(String problem, @Nullable Throwable cause);

  /** Too much is asked for. */
  KmsException busy(String problem);

  /** The reason of {@link #unavailable}. */
  R timeoutReason();

  /** Why it failed, if that may pass without anybody's action; null for any other answer. */
  @Nullable R outage(Throwable failure);
}
