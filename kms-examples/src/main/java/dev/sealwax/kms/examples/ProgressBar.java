package dev.sealwax.kms.examples;

import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;

/**
 * How far a step is: a bar that redraws itself on a terminal, a line every ten seconds elsewhere.
 * Closing it wipes the bar. For one thread.
 */
public final class ProgressBar implements AutoCloseable {
  private static final int WIDTH = 40;
  private static final long REDRAW_NANOS = TimeUnit.MILLISECONDS.toNanos(100);
  private static final long LINE_NANOS = TimeUnit.SECONDS.toNanos(10);

  private final PrintStream err;
  private final boolean redraws;
  private final String label;
  private final long total;
  private final LongSupplier nanoClock;
  private long done;
  private long shownAt;
  private int shownLength;

  ProgressBar(PrintStream err, boolean redraws, String label, long total, LongSupplier nanoClock) {
    this.err = err;
    this.redraws = redraws;
    this.label = label;
    this.total = total;
    this.nanoClock = nanoClock;
    this.shownAt = nanoClock.getAsLong();
  }

  public void advance(long units) {
    done += units;
    long now = nanoClock.getAsLong();
    if (now - shownAt >= (redraws ? REDRAW_NANOS : LINE_NANOS)) {
      shownAt = now;
      show();
    }
  }

  private void show() {
    // The input may have grown since it was measured.
    double share = total == 0 ? 1 : Math.min(1, (double) done / total);
    int percent = (int) (100 * share);
    if (redraws) {
      int filled = (int) (WIDTH * share);
      String bar = "#".repeat(filled) + ".".repeat(WIDTH - filled);
      String line = String.format("%-8s [%s] %3d %%", label, bar, percent);
      shownLength = line.length();
      err.print("\r" + line);
    } else {
      err.printf("%-8s %3d %%%n", label, percent);
    }
    err.flush();
  }

  /** A stream that advances the bar by the bytes read from it. */
  InputStream counting(InputStream source) {
    return new FilterInputStream(source) {
      @Override
      public int read() throws IOException {
        int read = super.read();
        if (read >= 0) {
          advance(1);
        }
        return read;
      }

      @Override
      public int read(byte[] into, int offset, int length) throws IOException {
        int read = super.read(into, offset, length);
        if (read > 0) {
          advance(read);
        }
        return read;
      }
    };
  }

  @Override
  public void close() {
    if (shownLength > 0) {
      err.print("\r" + " ".repeat(shownLength) + "\r");
      err.flush();
    }
  }
}
