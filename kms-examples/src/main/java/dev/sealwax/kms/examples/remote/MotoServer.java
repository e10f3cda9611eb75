package dev.sealwax.kms.examples.remote;

import dev.sealwax.kms.examples.InputException;
import java.io.BufferedReader;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The emulator moto as a process of its own, which answers on the loopback interface and ends with
 * this JVM. It is not AWS: it checks no credentials and protects nothing.
 */
public final class MotoServer implements AutoCloseable {
  /** Ends it when the input ends, also while it is stopped, so that none is left behind. */
  private static final String COMMAND =
      """
      command -v moto_server >/dev/null || exit 127
      exec 3<&0
      moto_server -H 127.0.0.1 -p 0 &
      server=$!
      echo "process $server"
      { cat <&3; kill -9 $server; } >/dev/null 2>&1 &
      watcher=$!
      wait $server
      kill $watcher
      """;

  private static final Pattern PROCESS = Pattern.compile("process (\\d+)");
  private static final Pattern RUNNING =
      Pattern.compile("Running on (http://127\\.0\\.0\\.1:\\d+)");

  private final Process shell;
  private final String pid;
  private final URI endpoint;

  private MotoServer(Process shell, String pid, URI endpoint) {
    this.shell = shell;
    this.pid = pid;
    this.endpoint = endpoint;
  }

  /**
   * Starts one.
   *
   * @throws InputException if it is not installed
   */
  public static MotoServer start() throws IOException {
    Process shell = new ProcessBuilder("sh", "-c", COMMAND).redirectErrorStream(true).start();
    List<String> said = new ArrayList<>();
    String pid = "";
    // Ends it, and so the reading below, unless it has said where it listens by then.
    CompletableFuture<Void> tooLate =
        CompletableFuture.runAsync(
            () -> endOf(shell), CompletableFuture.delayedExecutor(60, TimeUnit.SECONDS));
    BufferedReader output = shell.inputReader(StandardCharsets.UTF_8);
    for (String line = output.readLine(); line != null; line = output.readLine()) {
      said.add(line);
      Matcher process = PROCESS.matcher(line);
      Matcher running = RUNNING.matcher(line);
      if (process.matches()) {
        pid = process.group(1);
      } else if (running.find()) {
        tooLate.cancel(false);
        drain(output);
        return new MotoServer(shell, pid, URI.create(running.group(1)));
      }
    }
    tooLate.cancel(false);
    shell.destroy();
    throw new InputException(
        said.isEmpty()
            ? "moto_server is not here: install it with .ci/setup or pip install 'moto[server]',"
                + " or name keys of your own"
            : "moto_server does not start; it said: " + String.join(" / ", said));
  }

  private static void endOf(Process shell) {
    try {
      shell.getOutputStream().close();
    } catch (IOException e) {
      shell.destroy();
    }
  }

  /** It logs every request, and would wait for a reader. */
  private static void drain(BufferedReader output) {
    Thread thread = new Thread(() -> output.lines().forEach(line -> {}), "moto-output");
    thread.setDaemon(true);
    thread.setUncaughtExceptionHandler((ended, failure) -> {}); // the process is gone
    thread.start();
  }

  public URI endpoint() {
    return endpoint;
  }

  /** Stops it where it is: connections are taken, by the kernel, and nothing is answered. */
  void suspend() throws IOException {
    signal("STOP");
  }

  void resume() throws IOException {
    signal("CONT");
  }

  private void signal(String signal) throws IOException {
    try {
      if (new ProcessBuilder("sh", "-c", "kill -" + signal + " " + pid).start().waitFor() != 0) {
        throw new IOException("kill -" + signal + " of the emulator failed");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
  }

  @Override
  public void close() throws IOException {
    shell.getOutputStream().close();
  }
}
