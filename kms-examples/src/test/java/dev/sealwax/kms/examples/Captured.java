package dev.sealwax.kms.examples;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

/** What an example prints. */
public final class Captured {
  private final ByteArrayOutputStream outBytes = new ByteArrayOutputStream();
  private final ByteArrayOutputStream errBytes = new ByteArrayOutputStream();
  public final PrintStream out = new PrintStream(outBytes, true, StandardCharsets.UTF_8);
  public final PrintStream err = new PrintStream(errBytes, true, StandardCharsets.UTF_8);

  /** Without a console, and with a passphrase as from the environment. */
  Terminal terminal() {
    return new Terminal(out, err, null, "a passphrase for tests");
  }

  public String out() {
    return outBytes.toString(StandardCharsets.UTF_8);
  }

  public String err() {
    return errBytes.toString(StandardCharsets.UTF_8);
  }
}
