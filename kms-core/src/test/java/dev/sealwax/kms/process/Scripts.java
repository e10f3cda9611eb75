package dev.sealwax.kms.process;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** What a process does for {@link TracedChild}: one script, in any number of directories. */
public final class Scripts {
  static final String THREAD = "thread ";
  static final String DONE = "done";
  private static final int WARM_UPS = 3;

  /** Works on a directory and tells what came of it. */
  public interface Script {
    void run(Path directory, PrintStream out) throws IOException;
  }

  private Scripts() {}

  /**
   * Prints this thread and then runs the script in each directory that it is given as a line.
   *
   * @param scratch where it is run before, in directories that do not exist, so that classes are
   *     loaded and every call of a script is its own
   */
  public static void serve(Path scratch, Script script) throws IOException {
    PrintStream nowhere =
        new PrintStream(PrintStream.nullOutputStream(), true, StandardCharsets.US_ASCII);
    for (int i = 0; i < WARM_UPS; i++) {
      script.run(scratch.resolve("warm-up-" + i), nowhere);
    }
    BufferedReader directories =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    System.out.println(THREAD + Files.readSymbolicLink(Path.of("/proc/thread-self")).getFileName());
    for (String line; (line = directories.readLine()) != null; ) {
      script.run(Path.of(line), System.out);
      System.out.println(DONE);
    }
  }
}
