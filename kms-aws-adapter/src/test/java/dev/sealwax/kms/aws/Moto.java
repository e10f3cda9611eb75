package dev.sealwax.kms.aws;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A moto server, an emulator of AWS, as a child process on the loopback interface. It ends with
 * this JVM, however that ends: a shell kills it at the end of its input.
 */
public final class Moto {
  private static final Pattern RUNNING =
      Pattern.compile("Running on (http://127\\.0\\.0\\.1:\\d+)");
  private static final String COMMAND =
      """
      exec 3<&0
      moto_server -H 127.0.0.1 -p 0 &
      server=$!
      { cat <&3 >/dev/null; kill $server; } >/dev/null 2>&1 &
      wait $server
      """;
  private static final int KEPT_LINES = 20;

  /** One for all tests of this JVM. */
  private static final class Shared {
    static final Moto MOTO = start();
  }

  private final URI endpoint;

  private Moto(URI endpoint) {
    this.endpoint = endpoint;
  }

  public static Moto shared() {
    return Shared.MOTO;
  }

  public URI endpoint() {
    return endpoint;
  }

  /** Starts one more. */
  static Moto start() {
    try {
      Process process = new ProcessBuilder("sh", "-c", COMMAND).redirectErrorStream(true).start();
      BufferedReader output =
          new BufferedReader(
              new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
      Deque<String> last = new ArrayDeque<>();
      for (String line = output.readLine(); line != null; line = output.readLine()) {
        Matcher running = RUNNING.matcher(line);
        if (running.find()) {
          drain(output);
          return new Moto(URI.create(running.group(1)));
        }
        last.add(line);
        if (last.size() > KEPT_LINES) {
          last.remove();
        }
      }
      throw new IllegalStateException(
          "moto_server does not start; .ci/setup installs it. It said: " + last);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** It logs every request, and would wait for a reader. */
  private static void drain(BufferedReader output) {
    Thread thread =
        new Thread(
            () -> {
              try {
                while (output.readLine() != null) {
                  // nobody needs it
                }
              } catch (IOException e) {
                // it has ended
              }
            },
            "moto-output");
    thread.setDaemon(true);
    thread.start();
  }
}
