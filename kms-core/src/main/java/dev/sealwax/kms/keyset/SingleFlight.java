package dev.sealwax.kms.keyset;

import dev.sealwax.kms.cache.SharedFailures;
import dev.sealwax.kms.events.Announcer;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Makes concurrent callers share one run of the same work: the first does it on its own thread, the
 * others wait and get its result, or its exception as {@link SharedFailures} says.
 *
 * <p>Waiting ignores interrupts, which stay set, because the work itself is bounded by the timeouts
 * of store and root key. Safe for any thread; holds no lock.
 */
final class SingleFlight<T> {
  private final AtomicReference<@Nullable CompletableFuture<T>> underWay = new AtomicReference<>();

  T run(Supplier<T> work) {
    CompletableFuture<T> mine = new CompletableFuture<>();
    @Nullable CompletableFuture<T> other = underWay.compareAndExchange(null, mine);
    if (other != null) {
      return await(other);
    }
    try {
      return Announcer.untilOver(() -> lead(mine, work));
    } finally {
      // An Error can strike anywhere, a stack that is used up for one; nobody may wait for it.
      if (!mine.isDone()) {
        underWay.compareAndSet(mine, null);
        mine.completeExceptionally(new IllegalStateException("the work was cut off; try again"));
      }
    }
  }

  private T lead(CompletableFuture<T> mine, Supplier<T> work) {
    try {
      T result = work.get();
      underWay.set(null);
      mine.complete(result);
      return result;
    } catch (RuntimeException | Error e) {
      underWay.set(null);
      mine.completeExceptionally(e);
      throw e;
    }
  }

  private static <T> T await(CompletableFuture<T> other) {
    try {
      return other.join();
    } catch (CompletionException e) {
      if (e.getCause() instanceof RuntimeException failure) {
        throw SharedFailures.forAnotherCaller(failure);
      }
      if (e.getCause() instanceof Error error) {
        throw error;
      }
      throw e;
    }
  }
}
