package dev.sealwax.kms.vocabulary;

/**
 * Is told of every operation when it has ended; the seam for metrics and audit.
 *
 * <p>Called on the thread of the operation, so it must be quick and safe for concurrent use. It may
 * use the {@code Kms} it hears of; what it does with it is not told. What happens while others wait
 * for a key, such as calls of the root key, is told when they no longer do. What a listener throws
 * is logged and otherwise ignored. Without one no clock is read on the hot path. Of a stream that
 * is neither ended nor closed nothing is told.
 */
@FunctionalInterface
public interface KmsListener {
  void onEvent(KmsEvent event);
}
