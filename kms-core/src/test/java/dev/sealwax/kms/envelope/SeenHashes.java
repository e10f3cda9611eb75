package dev.sealwax.kms.envelope;

import java.util.Arrays;

/** A growing list of 64-bit hashes, in which a repeated one can be found. For one thread. */
final class SeenHashes {
  private long[] hashes = new long[1 << 14];
  private int count;

  /** Adds the hash of {@code length} bytes from {@code offset} on, keyed by {@code seed}. */
  void add(long seed, byte[] bytes, int offset, int length) {
    long hash = seed;
    for (int i = 0; i < length; i++) {
      hash = mixed(hash ^ (bytes[offset + i] & 0xff) ^ ((long) i << 32));
    }
    if (count == hashes.length) {
      hashes = Arrays.copyOf(hashes, 2 * count);
    }
    hashes[count++] = hash;
  }

  void addAll(SeenHashes others) {
    int total = count + others.count;
    if (total > hashes.length) {
      hashes = Arrays.copyOf(hashes, Math.max(total, 2 * hashes.length));
    }
    System.arraycopy(others.hashes, 0, hashes, count, others.count);
    count = total;
  }

  int count() {
    return count;
  }

  /** How many were added more than once. By chance alone: 2^-25 for a million. */
  long repeated() {
    long[] sorted = Arrays.copyOf(hashes, count);
    Arrays.sort(sorted);
    long repeated = 0;
    for (int i = 1; i < sorted.length; i++) {
      if (sorted[i] == sorted[i - 1]) {
        repeated++;
      }
    }
    return repeated;
  }

  /** The finalizer of SplitMix64: a bijection, so nothing collides that did not before. */
  private static long mixed(long value) {
    long z = value + 0x9e3779b97f4a7c15L;
    z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
    z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
    return z ^ (z >>> 31);
  }
}
