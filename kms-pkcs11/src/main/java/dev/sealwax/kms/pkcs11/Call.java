package dev.sealwax.kms.pkcs11;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNAVAILABLE;

import dev.sealwax.kms.vocabulary.RootKeyException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * A call into a module, made by a thread of the pool while the caller waits no longer than its
 * deadline. Native code cannot be interrupted; a caller can leave it behind.
 */
final class Call<T> implements Runnable {
  private enum Stage {
    QUEUED,
    RUNNING,
    /** Still running, and its caller has gone. */
    LEFT,
    ENDED
  }

  private final Supplier<T> body;
  private final Consumer<T> discard;
  private final AtomicInteger overdue;
  private final AtomicReference<Stage> stage = new AtomicReference<>(Stage.QUEUED);
  private final CompletableFuture<T> result = new CompletableFuture<>();

  /**
   * Prepares a call.
   *
   * @param discard wipes a result that comes when nobody waits any more
   * @param overdue counts calls that callers have left behind and that still run
   */
  Call(Supplier<T> body, Consumer<T> discard, AtomicInteger overdue) {
    this.body = body;
    this.discard = discard;
    this.overdue = overdue;
  }

  @Override
  public void run() {
    if (result.isDone() || !stage.compareAndSet(Stage.QUEUED, Stage.RUNNING)) {
      return;
    }
    try {
      T value = body.get();
      if (!result.complete(value)) {
        discard.accept(value);
      }
    } catch (RuntimeException | Error e) {
      result.completeExceptionally(e);
    } finally {
      if (stage.getAndSet(Stage.ENDED) == Stage.LEFT) {
        overdue.decrementAndGet();
      }
    }
  }

  /** Whether no thread has begun it. */
  boolean isQueued() {
    return stage.get() == Stage.QUEUED;
  }

  /** Ends it without making it. */
  void refuse(RuntimeException failure) {
    result.completeExceptionally(failure);
  }

  /**
   * Waits for the result.
   *
   * @throws RootKeyException with {@code UNAVAILABLE} if the deadline comes first, or the thread is
   *     interrupted
   */
  T await(Deadline deadline) {
    try {
      return result.get(Math.max(0, deadline.remainingNanos()), TimeUnit.NANOSECONDS);
    } catch (TimeoutException e) {
      return abandon(
          new RootKeyException(UNAVAILABLE, "the token did not answer within the timeout"));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return abandon(
          new RootKeyException(UNAVAILABLE, "interrupted while waiting for the token", e));
    } catch (ExecutionException e) {
      throw asThrown(e.getCause());
    }
  }

  /** The result that came at the last moment, or this failure. */
  private T abandon(RootKeyException failure) {
    if (result.completeExceptionally(failure) && stage.compareAndSet(Stage.RUNNING, Stage.LEFT)) {
      overdue.incrementAndGet();
    }
    try {
      return result.join();
    } catch (CompletionException e) {
      throw asThrown(e.getCause());
    }
  }

  private static RuntimeException asThrown(@Nullable Throwable thrown) {
    if (thrown instanceof Error error) {
      throw error;
    }
    return thrown instanceof RuntimeException e ? e : new IllegalStateException(thrown);
  }
}
