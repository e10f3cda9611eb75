package dev.sealwax.kms.events;

import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KmsEvent;
import dev.sealwax.kms.vocabulary.KmsEvent.CacheResult;
import dev.sealwax.kms.vocabulary.KmsEvent.Change;
import dev.sealwax.kms.vocabulary.KmsEvent.Operation;
import dev.sealwax.kms.vocabulary.KmsEvent.Outcome;
import dev.sealwax.kms.vocabulary.KmsListener;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Queue;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Tells the listener of one {@code Kms}, if there is one, what happened.
 *
 * <p>A listener is foreign code that may use the {@code Kms} it hears of. So it is told on the
 * thread of the operation but never in the middle of a load, which it would wait for without end;
 * it is not told what it causes itself, which would not end either; and what it throws is logged
 * and goes no further. Safe for any thread.
 */
public final class Announcer {
  private static final Logger LOG = LoggerFactory.getLogger(Announcer.class);

  /** What a thread is in the middle of; threads that are in nothing have none. */
  private static final ThreadLocal<@Nullable Turn> TURN = new ThreadLocal<>();

  private static final class Turn {
    private final Queue<Runnable> untold = new ArrayDeque<>();
    private final @Nullable Turn outer;
    private final @Nullable KmsListener telling;
    private int loads;

    Turn(@Nullable Turn outer, @Nullable KmsListener telling) {
      this.outer = outer;
      this.telling = telling;
    }

    boolean isWithin(KmsListener listener) {
      return telling == listener || (outer != null && outer.isWithin(listener));
    }
  }

  private final @Nullable KmsListener listener;

  public Announcer(@Nullable KmsListener listener) {
    this.listener = listener;
  }

  /** Whether anybody listens; if not, there is no need to read a clock. */
  public boolean isHeard() {
    return listener != null;
  }

  /** Runs a load that other threads may wait for; what happens in it is told when it is over. */
  public static <T> T untilOver(Supplier<T> load) {
    Turn outer = TURN.get();
    Turn turn = outer != null && outer.loads > 0 ? outer : new Turn(outer, null);
    TURN.set(turn);
    turn.loads++;
    try {
      return load.get();
    } finally {
      turn.loads--;
      if (turn.loads == 0) {
        back(outer);
        turn.untold.forEach(Runnable::run);
      }
    }
  }

  /** Runs {@code work} of a whole keyset or key version, and tells how it ended. */
  public <T> T reporting(Operation operation, KeysetId keyset, int version, Supplier<T> work) {
    return reporting(operation, Change.NONE, keyset, version, work, () -> true);
  }

  /**
   * Runs {@code work} that changes a keyset, and tells how it ended.
   *
   * @param changed whether it has changed anything; asked once it has succeeded, and if not, there
   *     is nothing to tell
   */
  public <T> T reporting(
      Change change, KeysetId keyset, int version, Supplier<T> work, BooleanSupplier changed) {
    return reporting(Operation.KEYSET_CHANGE, change, keyset, version, work, changed);
  }

  private <T> T reporting(
      Operation operation,
      Change change,
      KeysetId keyset,
      int version,
      Supplier<T> work,
      BooleanSupplier worthTelling) {
    if (!isHeard()) {
      return work.get();
    }
    long start = System.nanoTime();
    T result;
    try {
      result = work.get();
    } catch (RuntimeException | Error e) {
      tell(ended(operation, change, keyset, version, Outcome.FAILURE, start, e));
      throw e;
    }
    if (worthTelling.getAsBoolean()) {
      tell(ended(operation, change, keyset, version, Outcome.SUCCESS, start, null));
    }
    return result;
  }

  private static KmsEvent ended(
      Operation operation,
      Change change,
      KeysetId keyset,
      int version,
      Outcome outcome,
      long startNanos,
      @Nullable Throwable failure) {
    Duration duration = Duration.ofNanos(System.nanoTime() - startNanos);
    return new KmsEvent(
        operation, keyset, version, change, CacheResult.NONE, outcome, 0, duration, failure);
  }

  /** Tells of an operation that ends now. */
  public void tell(KmsEvent event) {
    KmsListener told = listener;
    if (told == null) {
      return;
    }
    Turn turn = TURN.get();
    if (turn == null) {
      tellNow(told, event);
    } else if (turn.isWithin(told)) {
      return; // its own doing
    } else if (turn.loads > 0) {
      turn.untold.add(() -> tellNow(told, event));
    } else {
      tellNow(told, event);
    }
  }

  private static void back(@Nullable Turn outer) {
    if (outer == null) {
      TURN.remove();
    } else {
      TURN.set(outer);
    }
  }

  private static void tellNow(KmsListener told, KmsEvent event) {
    Turn outer = TURN.get();
    TURN.set(new Turn(outer, told));
    try {
      told.onEvent(event);
    } catch (RuntimeException | Error e) {
      LOG.warn(
          "the listener failed on {} of keyset {} and was ignored",
          event.operation(),
          event.keyset(),
          e);
    } finally {
      back(outer);
    }
  }
}
