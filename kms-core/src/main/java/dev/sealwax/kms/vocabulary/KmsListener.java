package dev.sealwax.kms.vocabulary;

/**
 * Is told of every operation when it has ended; the seam for metrics and audit.
 *
 * <p>Called on the thread of the operation, so it must be quick and safe for concurrent use. What
 * it throws is logged and otherwise ignored. Without a listener no clock is read on the hot path.
 */
@FunctionalInterface
public interface KmsListener {
  void onEvent(KmsEvent event);
}
