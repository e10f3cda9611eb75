package dev.sealwax.kms.store;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * One run of {@link KeysetStoreChild}'s script under {@code strace}, which may fail or kill it at
 * one call.
 */
final class SystemCallTrace {
  /**
   * Every call by which a Java program can change a file, its name or its locks, whatever the
   * architecture.
   */
  private static final String CALLS =
      Stream.of(
              "openat",
              "openat2",
              "open",
              "creat",
              "close",
              "write",
              "writev",
              "pwrite64",
              "fsync",
              "fdatasync",
              "rename",
              "renameat",
              "renameat2",
              "link",
              "linkat",
              "symlink",
              "symlinkat",
              "unlink",
              "unlinkat",
              "rmdir",
              "mkdir",
              "mkdirat",
              "truncate",
              "ftruncate",
              "fallocate",
              "chmod",
              "fchmod",
              "fchmodat",
              "fcntl",
              "flock")
          .map(call -> "?" + call) // "?": not every architecture has them all
          .reduce((a, b) -> a + "," + b)
          .orElseThrow();

  private static final Pattern LINE = Pattern.compile("(\\w+)\\((.*)\\) += (.*)");

  /** What strace does instead of, or just before, one call. */
  record Fault(String call, int number, String effect) {
    @Override
    public String toString() {
      return effect + " at " + call + " " + number;
    }
  }

  /** A call of the script. */
  record Call(String name, String arguments, String result, int number) {}

  private final List<Call> script;
  private final List<String> output;
  private final int exitCode;
  private final boolean injected;
  private final Map<String, Integer> otherCalls;

  private SystemCallTrace(
      List<Call> script,
      List<String> output,
      int exitCode,
      boolean injected,
      Map<String, Integer> otherCalls) {
    this.script = script;
    this.output = output;
    this.exitCode = exitCode;
    this.injected = injected;
    this.otherCalls = otherCalls;
  }

  /** The calls of the script's own thread, from the script's start. */
  List<Call> script() {
    return script;
  }

  /** What the child printed. */
  List<String> output() {
    return output;
  }

  boolean killed() {
    return exitCode == 128 + 9;
  }

  boolean finished() {
    return exitCode == 0;
  }

  /** Whether strace replaced a call of the script's thread. */
  boolean injected() {
    return injected;
  }

  /**
   * Whether {@code call}'s number is beyond those of all other threads, so that a fault hits no
   * other call.
   */
  boolean isUnique(Call call) {
    return call.number > otherCalls.getOrDefault(call.name, 0);
  }

  static SystemCallTrace run(Path scratch, Path directory, int size, @Nullable Fault fault)
      throws Exception {
    Path logs = Files.createDirectory(scratch.resolve("trace"));
    List<String> command =
        new ArrayList<>(
            List.of("strace", "-ff", "-s", "64", "-e", "trace=" + CALLS, "-e", "signal=none"));
    if (fault == null || fault.effect.startsWith("error")) {
      command.add("--seccomp-bpf"); // twice as fast, but it cannot inject signals
    }
    if (fault != null) {
      command.addAll(
          List.of("-e", "inject=" + fault.call + ":" + fault.effect + ":when=" + fault.number));
    }
    command.addAll(List.of("-o", logs.resolve("thread").toString()));
    command.addAll(
        KeysetStoreChild.command("script", directory.toString(), Integer.toString(size)));
    Path errors = scratch.resolve("stderr");
    Process process = start(new ProcessBuilder(command).redirectError(errors.toFile()));
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.US_ASCII);
    if (!process.waitFor(60, TimeUnit.SECONDS)) {
      process.destroyForcibly();
      throw new AssertionError("the traced process does not end");
    }
    List<List<String>> threads = new ArrayList<>();
    try (Stream<Path> files = Files.list(logs)) {
      for (Path file : files.sorted(Comparator.comparing(Path::toString)).toList()) {
        threads.add(Files.readAllLines(file, StandardCharsets.ISO_8859_1));
      }
    }
    List<String> script =
        threads.stream()
            .filter(SystemCallTrace::isScript)
            .findFirst()
            .orElseThrow(
                () ->
                    new AssertionError(
                        "no script in the trace; the child said: " + output + read(errors)));
    Map<String, Integer> otherCalls = new HashMap<>();
    threads.stream()
        .filter(lines -> lines != script)
        .forEach(lines -> counts(lines).forEach((k, n) -> otherCalls.merge(k, n, Math::max)));
    boolean injected = script.stream().anyMatch(line -> line.endsWith("(INJECTED)"));
    return new SystemCallTrace(
        callsAfterMarker(script),
        Stream.concat(output.lines(), read(errors).lines()).toList(),
        process.exitValue(),
        injected,
        otherCalls);
  }

  private static Process start(ProcessBuilder builder) {
    try {
      return builder.start();
    } catch (IOException e) {
      throw new AssertionError(
          "install strace (Debian, Ubuntu: apt-get install strace); the crash tests need it", e);
    }
  }

  private static boolean isScript(List<String> thread) {
    return thread.stream().anyMatch(line -> line.contains(KeysetStoreChild.MARKER));
  }

  private static Map<String, Integer> counts(List<String> thread) {
    Map<String, Integer> counts = new HashMap<>();
    for (String line : thread) {
      int end = line.indexOf('(');
      if (end > 0) {
        counts.merge(line.substring(0, end), 1, Integer::sum);
      }
    }
    return counts;
  }

  private static List<Call> callsAfterMarker(List<String> thread) {
    Map<String, Integer> counts = new HashMap<>();
    List<Call> calls = new ArrayList<>();
    boolean script = false;
    for (String line : thread) {
      Matcher call = LINE.matcher(line);
      if (!call.matches()) {
        continue;
      }
      int number = counts.merge(call.group(1), 1, Integer::sum);
      if (script) {
        calls.add(new Call(call.group(1), call.group(2), call.group(3), number));
      }
      script |= line.contains(KeysetStoreChild.MARKER);
    }
    return calls;
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      return e.toString();
    }
  }
}
