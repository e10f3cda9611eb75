package dev.sealwax.kms.examples.benchmark;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

/**
 * Memory that was used before. A virtual machine is often given a page of its memory by its host
 * only when that is touched, and may have lost it again when nobody used it for a while. That takes
 * several times as long as what the operating system itself needs for a page, and is a matter of
 * the host.
 */
final class TouchedMemory {
  private static final int PAGE_BYTES = 4 << 10;
  private static final int BLOCK_BYTES = 64 << 20;

  private TouchedMemory() {}

  /** Touches as much as a fresh JVM may need; its end gives it back, for the next one to use. */
  static String touch(ChildJvm jvm) throws Exception {
    double first = jvm.repeat(1, TouchedMemory.class).of("micros");
    double again = jvm.repeat(1, TouchedMemory.class).of("micros");
    return Figures.format(
        "A page of memory took %.1f us, zeros included, when this section used it first, and %.1f"
            + " us when it did so again, in another process.\n\n",
        first, again);
  }

  public static void main(String[] arguments) {
    int blocks = Scale.valueOf(arguments[0]).memoryMebibytes() / (BLOCK_BYTES >> 20);
    long start = System.nanoTime();
    List<ByteBuffer> touched = new ArrayList<>();
    for (int i = 0; i < blocks; i++) {
      // Half in the heap, because the JVM bounds each of the two by the greatest heap.
      // Both fill what they allocate with zeros.
      touched.add(
          i % 2 == 0 ? ByteBuffer.allocate(BLOCK_BYTES) : ByteBuffer.allocateDirect(BLOCK_BYTES));
    }
    double nanos = System.nanoTime() - start;
    long pages = touched.size() * (long) (BLOCK_BYTES / PAGE_BYTES);
    Figures.report("micros", nanos / 1e3 / pages);
  }
}
