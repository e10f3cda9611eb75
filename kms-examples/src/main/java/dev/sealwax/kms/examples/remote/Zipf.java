package dev.sealwax.kms.examples.remote;

import java.util.Arrays;
import java.util.Random;

/** Chooses the first of many more often than the second, and so on, as popularity goes. */
final class Zipf {
  private final double[] upTo;

  /** With skew 0 all are chosen alike; 1 is what is often met. */
  Zipf(int count, double skew) {
    upTo = new double[count];
    double sum = 0;
    for (int i = 0; i < count; i++) {
      sum += 1 / Math.pow(i + 1.0, skew);
      upTo[i] = sum;
    }
  }

  /** From 0 to the count, exclusively. */
  int next(Random random) {
    int found = Arrays.binarySearch(upTo, random.nextDouble() * upTo[upTo.length - 1]);
    return Math.min(found < 0 ? -found - 1 : found, upTo.length - 1);
  }
}
