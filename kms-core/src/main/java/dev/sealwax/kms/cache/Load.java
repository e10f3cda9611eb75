package dev.sealwax.kms.cache;

import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * A load under way. A failed one is cancelled: Caffeine logs every other failure with its stack
 * trace, so that whoever sends forged envelopes could fill the log.
 */
final class Load<V extends AutoCloseable> extends CompletableFuture<Held<V>> {
  // Until the load is over: what is loaded may stay for hours, and must not keep a thread for so
  // long.
  private volatile @Nullable Thread leader = Thread.currentThread();
  private volatile @Nullable Throwable failure;
  private volatile boolean interrupted;

  /** To be called by the thread that has loaded it. */
  void succeed(Held<V> held) {
    complete(held);
    leader = null;
  }

  /** To be called by the thread that has failed. */
  void fail(Throwable cause) {
    failure = cause;
    interrupted = OutlivedKeys.isInterrupt(cause);
    cancel(false);
    leader = null;
  }

  /**
   * What another has loaded, or had from the start.
   *
   * @return null if that one was interrupted, which must fail nobody else
   * @throws IllegalStateException if this thread itself is loading it
   */
  static <V extends AutoCloseable> @Nullable Held<V> await(CompletableFuture<Held<V>> future) {
    if (future instanceof Load<V> load
        && load.leader == Thread.currentThread()
        && !future.isDone()) {
      throw new IllegalStateException(
          "loading a key needs that key itself: a root key must not use the Kms that it serves");
    }
    try {
      return future.join();
    } catch (CancellationException e) {
      if (!(future instanceof Load<V> load)) {
        throw e;
      }
      Throwable failure = load.failure;
      if (load.interrupted) {
        return null;
      }
      if (failure instanceof RuntimeException runtime) {
        throw SharedFailures.forAnotherCaller(runtime);
      }
      if (failure instanceof Error error) {
        throw error;
      }
      throw e;
    }
  }
}
