package dev.sealwax.kms.rootkey;

import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import java.util.function.LongUnaryOperator;

/**
 * Where a {@link ResilientRootKey} has time and chance from.
 *
 * @param nanoClock monotonic
 * @param sleeper pauses
 * @param chance a random number of 0 to what it is given, inclusive
 */
record GuardTiming(LongSupplier nanoClock, Sleeper sleeper, LongUnaryOperator chance) {
  static final GuardTiming SYSTEM =
      new GuardTiming(
          System::nanoTime,
          TimeUnit.NANOSECONDS::sleep,
          most -> ThreadLocalRandom.current().nextLong(most + 1));

  /** Pauses the calling thread. */
  interface Sleeper {
    void sleep(long nanos) throws InterruptedException;
  }
}
