package dev.sealwax.kms.guard;

import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import java.util.function.LongUnaryOperator;

/**
 * Where a guard has time and chance from.
 *
 * @param nanoClock monotonic
 * @param sleeper pauses
 * @param chance a random number of 0 to what it is given, inclusive
 */
public record GuardTiming(LongSupplier nanoClock, Sleeper sleeper, LongUnaryOperator chance) {
  public static final GuardTiming SYSTEM =
      new GuardTiming(
          System::nanoTime,
          TimeUnit.NANOSECONDS::sleep,
          most -> ThreadLocalRandom.current().nextLong(most + 1));

  /** Pauses the calling thread. */
  public interface Sleeper {
    void sleep(long nanos) throws InterruptedException;
  }
}
