package dev.sealwax.kms.examples.benchmark;

import java.time.Duration;
import java.util.List;

/** How long and how often everything is measured. */
enum Scale {
  /** Seconds for the whole table: proves that it runs, its figures mean nothing. */
  SMOKE(1, Duration.ofMillis(5), 1, 20, 50, 5, 2, 128) {
    @Override
    List<String> jvmOptions() {
      return List.of("-XX:TieredStopAtLevel=1");
    }
  },
  /** Minutes: enough to see a regression of ten percent. */
  QUICK(1, Duration.ofSeconds(2), 5, 20_000, 10_000, 20, 64, 3584),
  /** About half an hour: the published figures. */
  FULL(3, Duration.ofSeconds(4), 10, 200_000, 100_000, 20, 64, 3584);

  private final int jvms;
  private final Duration cell;
  private final int repetitions;
  private final int tasks;
  private final int keysets;
  private final int freshSlots;
  private final int streamMebibytes;
  private final int memoryMebibytes;

  Scale(
      int jvms,
      Duration cell,
      int repetitions,
      int tasks,
      int keysets,
      int freshSlots,
      int streamMebibytes,
      int memoryMebibytes) {
    this.jvms = jvms;
    this.cell = cell;
    this.repetitions = repetitions;
    this.tasks = tasks;
    this.keysets = keysets;
    this.freshSlots = freshSlots;
    this.streamMebibytes = streamMebibytes;
    this.memoryMebibytes = memoryMebibytes;
  }

  /** Fresh JVMs per row, whose median counts. */
  int jvms() {
    return jvms;
  }

  /** Measuring time of one cell of a table; warming up takes as long again. */
  Duration cell() {
    return cell;
  }

  /** Rounds within a JVM, or runs of a program that measures its own start. */
  int repetitions() {
    return repetitions;
  }

  /** Virtual threads per round. */
  int tasks() {
    return tasks;
  }

  /** Keysets in the process that holds many. */
  int keysets() {
    return keysets;
  }

  /** Tenths of a second for which a fresh JVM is watched; twenty are the window of the bar. */
  int freshSlots() {
    return freshSlots;
  }

  /** Length of a stream in a fresh JVM; 64 MiB is that of the bar. */
  int streamBytes() {
    return streamMebibytes << 20;
  }

  /** Memory that is used before a fresh JVM is measured: more than that needs. */
  int memoryMebibytes() {
    return memoryMebibytes;
  }

  /**
   * What the JVMs that measure are started with, beside heap and collector, which ChildJvm sets.
   */
  List<String> jvmOptions() {
    return List.of();
  }
}
