package dev.sealwax.kms.guard;

import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * What one attempt does.
 *
 * @param discard wipes a result that comes when nobody waits any more
 * @param end releases what the body works on, once it has ended or will never begin
 */
public record Task<T>(Supplier<T> body, Consumer<T> discard, Runnable end) {
  /** One that works on nothing of its own, and whose result holds no secret. */
  public static <T> Task<T> of(Supplier<T> body) {
    return new Task<>(body, late -> {}, () -> {});
  }

  /** The same, and in the end {@code last}, whatever happens. */
  Task<T> endingWith(Runnable last) {
    return new Task<>(
        body,
        discard,
        () -> {
          try {
            end.run();
          } finally {
            last.run();
          }
        });
  }
}
