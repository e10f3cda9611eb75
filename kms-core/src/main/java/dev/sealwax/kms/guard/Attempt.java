package dev.sealwax.kms.guard;

import dev.sealwax.kms.vocabulary.KmsException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * One attempt at a call, made by a thread of the pool while the caller waits no longer than it may.
 * A caller who gives up interrupts it and leaves it behind.
 */
final class Attempt<T> implements Runnable {
  /**
   * Hears of one attempt: that it begins, if it does, and then one of the ways in which it ends.
   */
  interface Observer {
    /** It is about to be made. */
    void begins();

    void succeeded(long nanos);

    void failed(Throwable failure, long nanos);

    /** Its caller has given it up because its time is over. */
    void timedOut(long nanos);

    /** Its caller has given it up for another reason, or it has not been made at all. */
    void dropped();

    /** It runs on though its caller has given it up. */
    void left();

    /** It has ended though it was given up. */
    void returned();
  }

  private enum Stage {
    WAITING,
    RUNNING,
    /** Still running, and its caller has gone. */
    LEFT,
    ENDED
  }

  private final Task<T> task;
  private final LongSupplier nanoClock;
  private final Observer observer;
  private final Outages<?> failures;
  // Who sets it says how the attempt has ended: first to the observer, so that the caller finds
  // counters and circuit as this attempt has left them, then by the result.
  private final AtomicBoolean decided = new AtomicBoolean();
  private final CompletableFuture<T> result = new CompletableFuture<>();
  private final CountDownLatch begun = new CountDownLatch(1);
  private volatile long begunNanos;
  // Both guarded by this, which is held for moments only.
  private Stage stage = Stage.WAITING;
  private @Nullable Thread thread;

  Attempt(Task<T> task, LongSupplier nanoClock, Observer observer, Outages<?> failures) {
    this.task = task;
    this.nanoClock = nanoClock;
    this.observer = observer;
    this.failures = failures;
  }

  @Override
  public void run() {
    if (!start()) {
      return;
    }
    try {
      T value = task.body().get();
      if (decided.compareAndSet(false, true)) {
        try {
          observer.succeeded(nanoClock.getAsLong() - begunNanos);
        } finally {
          result.complete(value); // somebody may wait for it without a limit
        }
      } else {
        task.discard().accept(value);
      }
    } catch (RuntimeException | Error e) {
      if (decided.compareAndSet(false, true)) {
        try {
          observer.failed(e, nanoClock.getAsLong() - begunNanos);
        } finally {
          result.completeExceptionally(e);
        }
      }
    } finally {
      end();
    }
  }

  private boolean start() {
    synchronized (this) {
      if (stage != Stage.WAITING) {
        return false;
      }
      observer.begins();
      stage = Stage.RUNNING;
      thread = Thread.currentThread();
      begunNanos = nanoClock.getAsLong();
    }
    begun.countDown();
    return true;
  }

  private void end() {
    boolean left;
    synchronized (this) {
      left = stage == Stage.LEFT;
      stage = Stage.ENDED;
      thread = null;
      Thread.interrupted(); // meant for this attempt, not for the next one of the thread
    }
    if (left) {
      observer.returned();
    }
    task.end().run();
  }

  /**
   * Waits for the result.
   *
   * @param end when the caller gives up
   * @param timeoutNanos how long the attempt may take once it has begun
   * @throws KmsException what the call threw; or as unavailable if the time is over or the thread
   *     is interrupted
   */
  T await(long end, long timeoutNanos) {
    try {
      if (!begun.await(end - nanoClock.getAsLong(), TimeUnit.NANOSECONDS)) {
        return giveUp(
            failures.unavailable("other calls took all the time until the deadline", null), false);
      }
      long now = nanoClock.getAsLong();
      long left = Math.min(end - now, begunNanos + timeoutNanos - now);
      return result.get(Math.max(0, left), TimeUnit.NANOSECONDS);
    } catch (TimeoutException e) {
      return giveUp(failures.unavailable("it gave no answer in time", null), true);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return giveUp(failures.unavailable("interrupted while waiting for it", e), false);
    } catch (ExecutionException e) {
      throw asThrown(e.getCause());
    }
  }

  /** The result that came at the last moment, or this failure. */
  private T giveUp(KmsException failure, boolean timedOut) {
    if (decided.compareAndSet(false, true)) {
      boolean begunBefore = leave();
      if (timedOut) {
        observer.timedOut(nanoClock.getAsLong() - begunNanos);
      } else {
        observer.dropped();
      }
      if (!begunBefore) {
        task.end().run();
      }
      throw failure;
    }
    try {
      return result.join();
    } catch (CompletionException e) {
      throw asThrown(e.getCause());
    }
  }

  /** Whether it has begun; if not, it never will. */
  private synchronized boolean leave() {
    if (stage == Stage.WAITING) {
      stage = Stage.ENDED;
      return false;
    }
    if (stage == Stage.RUNNING) {
      stage = Stage.LEFT;
      observer.left();
      if (thread != null) {
        thread.interrupt();
      }
    }
    return true;
  }

  private static RuntimeException asThrown(@Nullable Throwable thrown) {
    if (thrown instanceof Error error) {
      throw error;
    }
    return thrown instanceof RuntimeException e ? e : new IllegalStateException(thrown);
  }
}
