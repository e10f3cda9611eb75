package dev.sealwax.kms.process;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A process of {@link Scripts} whose system calls are recorded by {@code strace}, which may fail
 * one of them, or kill the process at it.
 *
 * <p>Only the thread of the scripts is traced, and only while one runs: what else a JVM does is
 * neither recorded nor counted.
 */
public final class TracedChild implements AutoCloseable {
  /**
   * The calls by which the JDK creates, writes, syncs, renames and removes files and directories,
   * and sets their permissions and locks, whatever the architecture.
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
              "pwritev",
              "sendfile",
              "copy_file_range",
              "utimensat",
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
          .collect(Collectors.joining(","));

  private static final long MAX_SECONDS = 60;
  private static final Pattern LINE = Pattern.compile("(\\w+)\\((.*)\\) += (.*)");
  private static final String INJECTED = "(INJECTED)";

  /** What strace does instead of, or just before, one call of a script. */
  public record Fault(String call, int number, String effect) {
    @Override
    public String toString() {
      return effect + " at " + call + " " + number;
    }
  }

  /** A call of a script, the {@code number}th of its name. */
  public record Call(String name, String arguments, String result, int number) {}

  /**
   * What one script did.
   *
   * @param output what it printed
   * @param finished whether it came to its end
   */
  public record Script(List<Call> calls, List<String> output, boolean finished) {
    /** Whether strace failed one of its calls. */
    public boolean injected() {
      return calls.stream().anyMatch(call -> call.result.endsWith(INJECTED));
    }
  }

  private final Path scratch;
  private final Process process;
  private final BufferedReader output;
  private final Writer directories;
  private final String thread;

  private TracedChild(Path scratch, Process process) throws IOException {
    this.scratch = scratch;
    this.process = process;
    this.output = process.inputReader(StandardCharsets.UTF_8);
    this.directories = process.outputWriter(StandardCharsets.UTF_8);
    this.thread = threadOf(output);
  }

  /** What the child says of itself, after whatever a JVM says first, as of its environment. */
  private static String threadOf(BufferedReader output) throws IOException {
    List<String> others = new ArrayList<>();
    for (String line; (line = output.readLine()) != null; others.add(line)) {
      if (line.startsWith(Scripts.THREAD)) {
        return line.substring(Scripts.THREAD.length());
      }
    }
    throw new AssertionError("the child has ended: " + others);
  }

  /**
   * A process that waits for its first script.
   *
   * @param scratch a directory of its own, for what is recorded
   * @param child the command of a JVM that calls {@link Scripts#serve}
   */
  public static TracedChild start(Path scratch, List<String> child) throws IOException {
    // A kernel that lets processes trace their descendants only (Yama, as on Ubuntu) makes an
    // exception for a process that allows it. A JVM cannot say so, strace does when it is told to
    // run beside what it traces (-D). It lets go when the shell becomes a JVM.
    List<String> command =
        new ArrayList<>(List.of("strace", "-D", "-b", "execve", "-e", "trace=execve"));
    command.addAll(List.of("-o", "/dev/null", "/bin/sh", "-c", "exec \"$0\" \"$@\""));
    command.addAll(child);
    return new TracedChild(scratch, strace(command));
  }

  /** Runs the script in a directory. */
  public Script run(Path directory, @Nullable Fault fault)
      throws IOException, InterruptedException {
    Path trace = Files.createTempFile(scratch, "trace", "");
    List<String> command =
        new ArrayList<>(List.of("strace", "-s", "64", "-e", "trace=" + CALLS, "-e", "signal=none"));
    if (fault != null) {
      command.addAll(
          List.of("-e", "inject=" + fault.call + ":" + fault.effect + ":when=" + fault.number));
    }
    command.addAll(List.of("-o", trace.toString(), "-p", thread));
    Process tracer = strace(command);
    // What hangs is told of as a script that has not finished.
    CompletableFuture<Void> impatience =
        CompletableFuture.runAsync(
            process::destroyForcibly,
            CompletableFuture.delayedExecutor(MAX_SECONDS, TimeUnit.SECONDS));
    List<String> printed = new ArrayList<>();
    try {
      BufferedReader said = tracer.inputReader();
      String first = String.valueOf(said.readLine());
      if (!first.endsWith("attached")) {
        throw new AssertionError(first + said.lines().toList());
      }
      directories.write(directory + System.lineSeparator());
      directories.flush();
      String line;
      while ((line = output.readLine()) != null && !line.equals(Scripts.DONE)) {
        printed.add(line);
      }
      tracer.destroy(); // as it is asked politely, the process goes on
      return new Script(callsOf(tracer, trace), printed, line != null);
    } finally {
      impatience.cancel(false);
      tracer.destroyForcibly();
    }
  }

  /** Whether the process has been killed. */
  public boolean isKilled() throws InterruptedException {
    return process.waitFor(10, TimeUnit.SECONDS) && process.exitValue() == 128 + 9;
  }

  /** Waits for its end, after which nothing of it holds a lock. */
  @Override
  public void close() throws InterruptedException {
    process.destroyForcibly().waitFor();
  }

  private static Process strace(List<String> command) {
    try {
      return new ProcessBuilder(command).redirectErrorStream(true).start();
    } catch (IOException e) {
      throw new AssertionError(
          "install strace (Debian, Ubuntu: apt-get install strace); the crash tests need it", e);
    }
  }

  private static List<Call> callsOf(Process tracer, Path trace)
      throws IOException, InterruptedException {
    if (!tracer.waitFor(10, TimeUnit.SECONDS)) {
      throw new AssertionError("strace does not end");
    }
    Map<String, Integer> counts = new HashMap<>();
    List<Call> calls = new ArrayList<>();
    for (String line : Files.readAllLines(trace, StandardCharsets.ISO_8859_1)) {
      Matcher call = LINE.matcher(line);
      if (call.matches()) {
        int number = counts.merge(call.group(1), 1, Integer::sum);
        if (call.group(2).startsWith("1, \"" + Scripts.DONE)) {
          break;
        }
        calls.add(new Call(call.group(1), call.group(2), call.group(3), number));
      }
    }
    return List.copyOf(calls);
  }
}
