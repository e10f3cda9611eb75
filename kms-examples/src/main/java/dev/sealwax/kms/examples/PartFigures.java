package dev.sealwax.kms.examples;

import java.io.IOException;
import java.time.Duration;
import java.util.Locale;

/** What happened to one {@link Part}: how much, and how long each step took. For one thread. */
final class PartFigures {
  /** Something to be timed. */
  interface Step {
    void run() throws IOException;
  }

  private final String unit;
  long messages;
  long plaintextBytes;
  long sealedBytes;
  private long encryptNanos;
  private long openNanos;
  private long openings;
  private long rewrapNanos;

  /** Starts at zero; {@code unit} is what one message is called, in the plural. */
  PartFigures(String unit) {
    this.unit = unit;
  }

  String unit() {
    return unit;
  }

  void timeEncrypt(Step step) throws IOException {
    encryptNanos += time(step);
  }

  void timeOpen(Step step) throws IOException {
    openNanos += time(step);
    openings++;
  }

  void timeRewrap(Step step) throws IOException {
    rewrapNanos += time(step);
  }

  private static long time(Step step) throws IOException {
    long start = System.nanoTime();
    step.run();
    return System.nanoTime() - start;
  }

  void add(PartFigures other) {
    messages += other.messages;
    plaintextBytes += other.plaintextBytes;
    sealedBytes += other.sealedBytes;
    encryptNanos += other.encryptNanos;
    openNanos += other.openNanos;
    openings = Math.max(openings, other.openings);
    rewrapNanos += other.rewrapNanos;
  }

  String encryptSpeed() {
    return speed(1, encryptNanos);
  }

  String openSpeed() {
    return speed(openings, openNanos);
  }

  /** In messages, because a rewrap does not touch the bytes. */
  String rewrapSpeed() {
    return perSecond(messages, rewrapNanos);
  }

  private String speed(long times, long nanos) {
    return messages == 0
        ? "-"
        : perSecond(times * messages, nanos)
            + ", "
            + bytes((long) (times * plaintextBytes / seconds(nanos)))
            + "/s";
  }

  private static String perSecond(long count, long nanos) {
    return count == 0 ? "-" : count(Math.round(count / seconds(nanos))) + "/s";
  }

  private static double seconds(long nanos) {
    return Math.max(1, nanos) / (double) Duration.ofSeconds(1).toNanos();
  }

  static String count(long count) {
    return String.format(Locale.ROOT, "%,d", count);
  }

  /** A count with its unit, which is given in the plural. */
  static String count(long count, String units) {
    return count(count) + " " + (count == 1 ? units.substring(0, units.length() - 1) : units);
  }

  static String bytes(long bytes) {
    String[] units = {"B", "kB", "MB", "GB", "TB"};
    double amount = bytes;
    int unit = 0;
    while (amount >= 1000 && unit < units.length - 1) {
      amount /= 1000;
      unit++;
    }
    return String.format(
        Locale.ROOT, unit == 0 || amount >= 100 ? "%.0f %s" : "%.1f %s", amount, units[unit]);
  }
}
