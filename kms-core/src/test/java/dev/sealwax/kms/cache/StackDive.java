package dev.sealwax.kms.cache;

import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ThreadLocalRandom;

/** Takes code to the end of a stack. */
public final class StackDive {
  // Not deep, so that it does not take long.
  private static final long STACK_BYTES = 1 << 18;

  private StackDive() {}

  /** Runs {@code step} at every depth of a stack, the last of which cuts it off somewhere. */
  public static void atEveryDepth(Runnable step) {
    CompletableFuture<Void> end = new CompletableFuture<>();
    Runnable dive =
        () -> {
          try {
            from(ThreadLocalRandom.current().nextInt(64), 0, step);
            end.complete(null);
          } catch (RuntimeException | Error e) {
            end.completeExceptionally(e);
          }
        };
    new Thread(null, dive, "diver", STACK_BYTES).start();
    assertThrows(
        StackOverflowError.class,
        () -> {
          try {
            end.join();
          } catch (CompletionException e) {
            throw e.getCause();
          }
        });
  }

  /** Begins at another place of the stack each time, so that its end cuts off at another. */
  private static long from(int frames, long filler, Runnable step) {
    if (frames == 0) {
      dive(step, Integer.MAX_VALUE);
      return 0;
    }
    return from(frames - 1, filler + 1, step) + filler;
  }

  private static void dive(Runnable step, int depth) {
    step.run();
    if (depth > 0) {
      dive(step, depth - 1);
    }
  }
}
