package dev.sealwax.kms.keyset;

import dev.sealwax.kms.cache.SharedFailures;
import dev.sealwax.kms.cache.StackRoom;
import dev.sealwax.kms.events.Announcer;
import dev.sealwax.kms.vocabulary.KmsException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Makes concurrent callers share one run of the same work: the first does it on its own thread, the
 * others wait and get its result, or its exception as {@link SharedFailures} says; but if it failed
 * on an interrupted thread, which must fail nobody else, one of them does it anew.
 *
 * <p>Waiting ignores interrupts, which stay set, because the work itself is bounded by the timeouts
 * of store and root key. Safe for any thread; holds no lock.
 */
final class SingleFlight<T> {
  private static final class Flight<T> extends CompletableFuture<T> {
    private final Thread leader = Thread.currentThread();
    // Written before it is completed.
    private volatile boolean interrupted;
  }

  private final AtomicReference<@Nullable Flight<T>> underWay = new AtomicReference<>();

  T run(Supplier<T> work) {
    while (true) {
      Flight<T> mine = new Flight<>();
      StackRoom.require();
      @Nullable Flight<T> other = underWay.compareAndExchange(null, mine);
      if (other == null) {
        return ledToItsEnd(mine, work);
      }
      if (other.leader == Thread.currentThread() && !other.isDone()) {
        throw new IllegalStateException(
            "reading a keyset needs that keyset itself: a store or root key must not use the Kms"
                + " that it serves");
      }
      try {
        return other.join();
      } catch (CompletionException e) {
        if (!other.interrupted) {
          throw asThrown(e);
        }
      }
    }
  }

  private T ledToItsEnd(Flight<T> mine, Supplier<T> work) {
    try {
      return Announcer.untilOver(() -> lead(mine, work));
    } finally {
      // An Error can strike anywhere; nobody may wait for it.
      if (!mine.isDone()) {
        underWay.compareAndSet(mine, null);
        mine.completeExceptionally(new IllegalStateException("the work was cut off; try again"));
      }
    }
  }

  private T lead(Flight<T> mine, Supplier<T> work) {
    try {
      T result = work.get();
      underWay.set(null);
      mine.complete(result);
      return result;
    } catch (RuntimeException | Error e) {
      underWay.set(null);
      mine.interrupted = e instanceof KmsException && Thread.currentThread().isInterrupted();
      mine.completeExceptionally(e);
      throw e;
    }
  }

  private static RuntimeException asThrown(CompletionException e) {
    if (e.getCause() instanceof RuntimeException failure) {
      return SharedFailures.forAnotherCaller(failure);
    }
    if (e.getCause() instanceof Error error) {
      throw error;
    }
    return e;
  }
}
