package dev.sealwax.kms.examples.benchmark;

import java.io.BufferedReader;
import java.io.IOException;
import java.lang.ProcessBuilder.Redirect;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/**
 * Starts JVMs like this one (same JDK, same class path) that run a program of this package and
 * report figures. Owned by {@link PerformanceTable}.
 */
final class ChildJvm {
  private static final List<String> LARGE_HEAP = List.of("-Xmx2g", "-XX:+UseG1GC");
  private static final List<String> SMALL_HEAP =
      List.of("-Xmx512m", "-Xmn128m", "-XX:+UseSerialGC");

  private final Path scratch;
  private final Scale scale;
  private final List<String> heap;

  ChildJvm(Path scratch, Scale scale) {
    this(scratch, scale, LARGE_HEAP);
  }

  private ChildJvm(Path scratch, Scale scale, List<String> heap) {
    this.scratch = scratch;
    this.scale = scale;
    this.heap = heap;
  }

  /**
   * The same with 128 MiB for new objects, collected by one thread: new arrays soon are in memory
   * that was used before, and no collector works beside.
   */
  ChildJvm withSmallHeap() {
    return new ChildJvm(scratch, scale, SMALL_HEAP);
  }

  Scale scale() {
    return scale;
  }

  /** A directory that lives as long as the table is being made. */
  Path scratch() {
    return scratch;
  }

  /**
   * Runs {@code program} once in each of the {@linkplain Scale#jvms() number of JVMs} the scale
   * asks for.
   */
  Figures repeat(Class<?> program, String... arguments) throws IOException, InterruptedException {
    return repeat(scale.jvms(), program, arguments);
  }

  /** Runs {@code program} in {@code times} fresh JVMs, one after the other. */
  Figures repeat(int times, Class<?> program, String... arguments)
      throws IOException, InterruptedException {
    Figures figures = new Figures();
    for (int i = 0; i < times; i++) {
      runOnce(figures, program, arguments);
    }
    return figures;
  }

  private void runOnce(Figures figures, Class<?> program, String... arguments)
      throws IOException, InterruptedException {
    String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
    List<String> command = new ArrayList<>(List.of(java));
    command.addAll(heap);
    command.addAll(scale.jvmOptions());
    command.addAll(List.of("-cp", System.getProperty("java.class.path")));
    // Measured by the parent: what happens before main is part of a start.
    command.add("-Dbenchmark.started=" + System.currentTimeMillis());
    // A hundred thousand keysets would otherwise log as many lines.
    command.add("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn");
    command.add(program.getName());
    command.add(scale.name());
    command.add(scratch.toString());
    Stream.of(arguments).forEach(command::add);
    Process child = new ProcessBuilder(command).redirectError(Redirect.INHERIT).start();
    try (BufferedReader lines = child.inputReader()) {
      lines.lines().forEach(figures::readLine);
    }
    int status = child.waitFor();
    if (status != 0) {
      throw new IllegalStateException(program.getSimpleName() + " ended with status " + status);
    }
  }

  /** In a child: milliseconds since its parent asked for it. */
  static long millisSinceStart() {
    return System.currentTimeMillis() - Long.getLong("benchmark.started");
  }
}
