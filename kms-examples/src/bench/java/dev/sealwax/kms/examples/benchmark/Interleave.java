package dev.sealwax.kms.examples.benchmark;

import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The fine instrument: operations take turns in blocks of about 2 ms within one JVM and are
 * compared turn by turn, in CPU time of this thread.
 *
 * <p>Two operations of one turn meet the same clock frequency, the same neighbours on the machine
 * and the same JIT profile, so the median of their ratios resolves about two percent where separate
 * JMH forks scatter by ten to thirty. CPU time of collector and compiler threads is not counted.
 * Not safe for concurrent use.
 */
final class Interleave {
  /** What is measured; its result is used, so that no part of the work can be optimised away. */
  @FunctionalInterface
  interface Operation {
    byte[] run() throws Exception;
  }

  private static final long BLOCK_NANOS = 2_000_000;
  private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

  /** Where results go, so that the compiler cannot prove a block to be without effect. */
  static volatile int sink;

  private final Operation[] operations;
  private final int[] blockLengths;

  private Interleave(Operation[] operations) {
    this.operations = operations;
    blockLengths = new int[operations.length];
    Arrays.fill(blockLengths, 1);
  }

  static Interleave of(List<Operation> operations) {
    return new Interleave(operations.toArray(Operation[]::new));
  }

  /** Takes turns for about {@code duration}; run it once for warming up and once for the result. */
  Turns run(Duration duration) throws Exception {
    List<double[]> turns = new ArrayList<>();
    long end = System.nanoTime() + duration.toNanos();
    do {
      double[] nanos = new double[operations.length];
      for (int i = 0; i < operations.length; i++) {
        // Another one begins each turn, so that none always follows the same neighbour.
        int column = (i + turns.size()) % operations.length;
        nanos[column] = block(column);
      }
      turns.add(nanos);
    } while (System.nanoTime() < end);
    return new Turns(turns);
  }

  private double block(int column) throws Exception {
    Operation operation = operations[column];
    int length = blockLengths[column];
    int used = 0;
    long start = THREADS.getCurrentThreadCpuTime();
    for (int i = 0; i < length; i++) {
      byte[] result = operation.run();
      used += result[result.length - 1];
    }
    long nanos = Math.max(1, THREADS.getCurrentThreadCpuTime() - start);
    sink = used;
    double nanosPerOperation = (double) nanos / length;
    double wanted = BLOCK_NANOS / nanosPerOperation;
    // At most a doubling or halving per turn: one disturbed block must not upset the next.
    blockLengths[column] =
        (int) Math.max(1, Math.min(2.0 * length, Math.max(length / 2.0, wanted)));
    return nanosPerOperation;
  }

  /**
   * CPU nanoseconds per operation, for each turn and operation.
   *
   * @param nanos one array per turn, in the order of the operations
   */
  record Turns(List<double[]> nanos) {
    /**
     * How much faster {@code column} is than {@code baseline}: the median of the ratios of each
     * turn.
     */
    double speed(int column, int baseline) {
      return Figures.median(
          nanos.stream().mapToDouble(turn -> turn[baseline] / turn[column]).toArray());
    }

    /**
     * Typical microseconds per operation on an undisturbed machine: the 10th percentile of the
     * turns.
     */
    double micros(int column) {
      double[] sorted = nanos.stream().mapToDouble(turn -> turn[column]).sorted().toArray();
      return sorted[sorted.length / 10] / 1000;
    }
  }
}
