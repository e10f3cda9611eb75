package dev.sealwax.kms.examples;

import java.io.Console;
import java.io.PrintStream;
import org.jspecify.annotations.Nullable;

/**
 * Where an example talks to its user.
 *
 * @param console the user's terminal, or null if nobody is there
 * @param passphrase the value of {@code SEALWAX_PASSPHRASE}, or null if it is not set
 */
public record Terminal(
    PrintStream out, PrintStream err, @Nullable Console console, @Nullable String passphrase) {
  /** That of this process. */
  public static Terminal ofProcess() {
    return new Terminal(
        System.out, System.err, System.console(), System.getenv("SEALWAX_PASSPHRASE"));
  }

  public void say(String format, @Nullable Object... arguments) {
    out.printf(format + "%n", arguments);
  }

  public void warn(String format, @Nullable Object... arguments) {
    err.printf(format + "%n", arguments);
  }

  /** Shows how far a step is, of so many units; to be closed at its end. */
  public ProgressBar progress(String label, long total) {
    return new ProgressBar(err, console != null, label, total, System::nanoTime);
  }
}
