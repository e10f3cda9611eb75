package dev.sealwax.kms.examples;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

final class ProgressBarTest {
  private static final long REDRAW = TimeUnit.MILLISECONDS.toNanos(100);
  private static final long LINE = TimeUnit.SECONDS.toNanos(10);

  private final Captured captured = new Captured();
  // Monotonic clocks may start anywhere, also where they soon overflow.
  private long now = Long.MAX_VALUE - 1;

  private ProgressBar onTerminal(long total) {
    return new ProgressBar(captured.err, true, "encrypt", total, () -> now);
  }

  private ProgressBar elsewhere(long total) {
    return new ProgressBar(captured.err, false, "encrypt", total, () -> now);
  }

  /** The bar with so many of its forty places filled. */
  private static String drawn(int filled, String percent) {
    return "\rencrypt  [" + "#".repeat(filled) + ".".repeat(40 - filled) + "] " + percent + " %";
  }

  @Test
  void advance_onTerminal_redrawsTheBarEveryTenthOfASecond() {
    ProgressBar bar = onTerminal(200);
    bar.advance(30);
    now += REDRAW - 1;
    bar.advance(30);
    assertEquals("", captured.err());
    now += 1;
    bar.advance(40);
    assertEquals(drawn(20, " 50"), captured.err());
    now += REDRAW - 1;
    bar.advance(50);
    assertEquals(drawn(20, " 50"), captured.err());
    now += 1;
    bar.advance(50);
    assertEquals(drawn(20, " 50") + drawn(40, "100"), captured.err());
  }

  @Test
  void advance_whenTheInputGrew_staysAtTheEnd() {
    ProgressBar bar = onTerminal(10);
    now += REDRAW;
    bar.advance(25);
    assertEquals(drawn(40, "100"), captured.err());
  }

  @Test
  void advance_whenThereWasNothingToDo_isAtTheEnd() {
    ProgressBar bar = onTerminal(0);
    now += REDRAW;
    bar.advance(0);
    assertEquals(drawn(40, "100"), captured.err());
  }

  @Test
  void advance_withoutTerminal_printsALineEveryTenSeconds() {
    ProgressBar bar = elsewhere(1000);
    now += LINE - 1;
    bar.advance(120);
    assertEquals("", captured.err());
    now += 1;
    bar.advance(5);
    bar.advance(500);
    now += LINE;
    bar.advance(0);
    assertEquals(
        "encrypt   12 %" + System.lineSeparator() + "encrypt   62 %" + System.lineSeparator(),
        captured.err());
  }

  @Test
  void counting_read_advancesByTheBytesThatCame() throws IOException {
    ProgressBar bar = onTerminal(8);
    InputStream in = bar.counting(new ByteArrayInputStream(new byte[4]));
    in.read();
    assertEquals(3, in.read(new byte[10]));
    assertEquals(-1, in.read());
    assertEquals(-1, in.read(new byte[10]));
    now += REDRAW;
    bar.advance(0);
    assertEquals(drawn(20, " 50"), captured.err());
  }

  @Test
  void close_onTerminal_wipesTheBar() {
    try (ProgressBar bar = onTerminal(2)) {
      now += REDRAW;
      bar.advance(1);
    }
    String bar = drawn(20, " 50");
    assertEquals(bar + "\r" + " ".repeat(bar.length() - 1) + "\r", captured.err());
  }

  @Test
  void close_whenNothingIsShown_printsNothing() {
    try (ProgressBar bar = onTerminal(2)) {
      bar.advance(1);
    }
    try (ProgressBar bar = elsewhere(2)) {
      bar.advance(1);
    }
    assertEquals("", captured.err());
  }
}
