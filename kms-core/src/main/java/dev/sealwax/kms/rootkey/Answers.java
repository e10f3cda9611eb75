package dev.sealwax.kms.rootkey;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * What is answered to the questions of one call, in the order in which the answers come. What comes
 * after {@link #close} is discarded. Filled by any thread, read and closed by one.
 *
 * @param <Q> who or what was asked
 */
final class Answers<Q, T> implements AutoCloseable {
  /**
   * One answer.
   *
   * @param value present if and only if there is no failure
   */
  record Answer<Q, T>(Q question, @Nullable T value, @Nullable Throwable failure) {}

  private final Consumer<T> discard;
  private final BlockingQueue<Answer<Q, T>> queue = new LinkedBlockingQueue<>();
  private final List<Runnable> atTheEnd = new ArrayList<>();
  private boolean closed; // guarded by this

  /**
   * Waits for nothing yet.
   *
   * @param discard wipes a value that nobody takes any more
   */
  Answers(Consumer<T> discard) {
    this.discard = discard;
  }

  void add(Answer<Q, T> answer) {
    synchronized (this) {
      if (!closed) {
        queue.add(answer);
        return;
      }
    }
    discard(answer);
  }

  private void discard(Answer<Q, T> answer) {
    if (answer.value != null) {
      discard.accept(answer.value);
    }
  }

  /** The next answer, or null if none comes in time. */
  @Nullable Answer<Q, T> next(long nanos) throws InterruptedException {
    return queue.poll(Math.max(0, nanos), TimeUnit.NANOSECONDS);
  }

  /** Has {@link #close} do this as well; for the thread that reads. */
  void atTheEnd(Runnable action) {
    atTheEnd.add(action);
  }

  synchronized boolean isClosed() {
    return closed;
  }

  @Override
  public void close() {
    synchronized (this) {
      closed = true;
    }
    atTheEnd.forEach(Runnable::run);
    queue.forEach(this::discard);
    queue.clear();
  }
}
