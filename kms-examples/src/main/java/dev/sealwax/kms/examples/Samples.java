package dev.sealwax.kms.examples;

import java.util.Arrays;

/** How long many operations took, every one of them kept. For one thread. */
public final class Samples {
  private long[] nanos = new long[1 << 10];
  private int size;

  public void add(long duration) {
    if (size == nanos.length) {
      nanos = Arrays.copyOf(nanos, 2 * size);
    }
    nanos[size++] = duration;
  }

  /** Adds those of another thread, which has ended. */
  public void addAll(Samples other) {
    for (int i = 0; i < other.size; i++) {
      add(other.nanos[i]);
    }
  }

  public int size() {
    return size;
  }

  /** The microseconds within which this share of the operations ended; 0 if there was none. */
  public double micros(double share) {
    if (size == 0) {
      return 0;
    }
    long[] sorted = Arrays.copyOf(nanos, size);
    Arrays.sort(sorted);
    return sorted[(int) Math.ceil(size * share) - 1] / 1000.0;
  }
}
