package dev.sealwax.kms.rewrap;

import dev.sealwax.kms.vocabulary.RewrapException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.Locale;
import java.util.Objects;
import java.util.concurrent.TimeUnit;

/**
 * Shows how far a job is: a bar that redraws itself, for a terminal, or a line every ten seconds,
 * for a log. Shows counts only, no record ids. Safe for any thread.
 */
public final class RewrapProgressBar implements RewrapListener {
  private static final int WIDTH = 30;

  private final Appendable out;
  private final boolean redraws;
  private final long intervalNanos;
  // Guarded by this.
  private long shownAt;
  private boolean shown;
  private int shownLength;

  private RewrapProgressBar(Appendable out, boolean redraws, Duration interval) {
    this.out = Objects.requireNonNull(out, "out");
    this.redraws = redraws;
    this.intervalNanos = interval.toNanos();
  }

  /** A bar that is drawn over and over, at most ten times a second. */
  public static RewrapProgressBar onTerminal(Appendable out) {
    return new RewrapProgressBar(out, true, Duration.ofMillis(100));
  }

  /** A line every ten seconds. */
  public static RewrapProgressBar asLines(Appendable out) {
    return new RewrapProgressBar(out, false, Duration.ofSeconds(10));
  }

  @Override
  public synchronized void onProgress(RewrapProgress progress) {
    Objects.requireNonNull(progress, "progress");
    long now = System.nanoTime();
    if (shown && now - shownAt < intervalNanos) {
      return;
    }
    shown = true;
    shownAt = now;
    show(text(progress));
  }

  @Override
  public synchronized void onPause(RewrapException.Reason reason, Exception cause, Duration pause) {
    Objects.requireNonNull(reason, "reason");
    Objects.requireNonNull(cause, "cause");
    Objects.requireNonNull(pause, "pause");
    show(
        String.format(
            Locale.ROOT,
            "waiting %.1f s: %s, %s",
            pause.toMillis() / 1e3,
            reason,
            cause.getClass().getSimpleName()));
  }

  private void show(String text) {
    try {
      if (redraws) {
        // Blanks wipe what a longer line has left.
        out.append('\r').append(text).append(" ".repeat(Math.max(0, shownLength - text.length())));
        shownLength = text.length();
      } else {
        out.append(text).append('\n');
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String text(RewrapProgress progress) {
    RewrapCounts counts = progress.counts();
    StringBuilder text = new StringBuilder();
    if (progress.total().isPresent()) {
      long total = progress.total().getAsLong();
      double share = total == 0 ? 1 : Math.min(1, (double) counts.scanned() / total);
      int filled = (int) (WIDTH * share);
      text.append('[')
          .append("#".repeat(filled))
          .append(".".repeat(WIDTH - filled))
          .append(String.format(Locale.ROOT, "] %3d %% ", (int) (100 * share)));
    }
    text.append(
        String.format(
            Locale.ROOT,
            "%,d scanned, %,d moved%s, %,d failed, %,.0f/s",
            counts.scanned(),
            counts.moved(),
            counts.reencrypted() == 0
                ? ""
                : String.format(Locale.ROOT, ", %,d re-encrypted", counts.reencrypted()),
            counts.failed(),
            progress.recordsPerSecond()));
    progress
        .remaining()
        .ifPresent(left -> text.append(", about ").append(readable(left)).append(" left"));
    return text.toString();
  }

  private static String readable(Duration time) {
    long seconds = time.toSeconds();
    if (seconds < TimeUnit.MINUTES.toSeconds(1)) {
      return seconds + " s";
    }
    return seconds < TimeUnit.HOURS.toSeconds(1)
        ? time.toMinutes() + " min"
        : time.toHours() + " h " + time.toMinutesPart() + " min";
  }
}
