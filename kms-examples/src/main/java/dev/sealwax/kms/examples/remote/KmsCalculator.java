package dev.sealwax.kms.examples.remote;

import java.io.PrintStream;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * How often a KMS would be called, on average and at its worst, and what that costs: calls are
 * counted over a real run, and reckoned up to your traffic by rules that are printed. {@code
 * --help} lists what it can be told.
 */
public final class KmsCalculator {
  private static final double HOURS_A_MONTH = 730;
  private static final double SECONDS_AN_HOUR = 3600;

  /** Of a quota, so that calls that come a little early do not exceed it. */
  private static final double SHARE_TO_USE = 0.9;

  private final CallOptions options;
  private final CallMeasurement measured;
  private final PrintStream out;

  KmsCalculator(CallOptions options, CallMeasurement measured, PrintStream out) {
    this.options = options;
    this.measured = measured;
    this.out = out;
  }

  public static void main(String[] args) {
    RemoteExample.main(CallOptions.USAGE, args, KmsCalculator::run);
  }

  static boolean run(Path directory, List<String> arguments, PrintStream out)
      throws InterruptedException {
    CallOptions options = CallOptions.parse(arguments);
    say(
        out,
        "measuring %,d messages in %,d keysets with a root key in a file ...",
        options.sample(),
        options.keysets());
    CallMeasurement measured = CallMeasurement.of(options, directory);
    new KmsCalculator(options, measured, out).report();
    return true;
  }

  // --- rules ---

  /** Each process renews each key version in use; never for more than there are messages. */
  double averageCalls() {
    double inUse = (double) options.processes() * options.keysets();
    double renewals = inUse * perRenewal() / options.softTtl().toSeconds();
    return Math.min(renewals, options.messagesPerSecond());
  }

  /** All processes start in the same second. */
  double coldStartCalls() {
    return (double) options.processes() * measured.firstSecond();
  }

  /**
   * Processes that started together renew together, within the random tenth of the time to live.
   */
  double renewalPeak() {
    return Math.min(10 * averageCalls(), options.messagesPerSecond());
  }

  /** A library that asks the KMS for each message. */
  double uncachedCalls() {
    return options.messagesPerSecond();
  }

  /** A busy machine renews late, and would make it look cheaper than it is. */
  private double perRenewal() {
    return Math.max(1, measured.perRenewal());
  }

  /** Calls per second to allow each process; null if the quota has not one for each. */
  @Nullable Integer rate() {
    int rate = (int) (SHARE_TO_USE * options.quota() / options.processes());
    return rate < 1 ? null : rate;
  }

  // --- report ---

  private void report() {
    say("");
    say("measured in one process");
    say(
        "  %,d messages in %,d keysets: %,d calls, one per key version; %,d data keys, made"
            + " without a call",
        options.sample(), measured.keysetsMet(), measured.sample(), measured.dataKeys());
    say(
        "  its first %,d messages, which come in the first second: %,d calls",
        options.firstSecond(), measured.firstSecond());
    say("  %.2f calls for each key version and time to live", measured.perRenewal());
    say("  %.3f calls for each message if nothing is kept", measured.perUncachedMessage());
    say("");
    say(
        "reckoned for %,.0f messages a second, %,d processes, %,d keysets in each, renewed after %d"
            + " minutes",
        options.messagesPerSecond(),
        options.processes(),
        options.keysets(),
        options.softTtl().toMinutes());
    say("%-38s %20s %20s", "", "Sealwax", "a call per message");
    double average = averageCalls();
    double uncached = uncachedCalls();
    row("calls per million messages", perMillion(average), perMillion(uncached));
    row("calls per second, on average", average, uncached);
    row("  in the second of a common start", coldStartCalls(), uncached);
    row("  when these renew together, at most", renewalPeak(), uncached);
    row("calls a month", perMonth(average), perMonth(uncached));
    row("price a month", price(average), price(uncached));
    row("share of the quota, on average", share(average), share(uncached));
    say("");
    sayRules();
    sayQuota();
  }

  private void sayRules() {
    say(
        "average      processes x keysets x %.2f / %d s, or one for each message if that is less",
        perRenewal(), options.softTtl().toSeconds());
    say(
        "start        processes x %,d, for each meets its keysets at random",
        measured.firstSecond());
    say("together     the same calls within a tenth of the time to live, by which renewals spread");
    say(
        options.pricePer10000Calls() > 0
            ? "price        as entered: %s for 10,000 calls"
            : "price        enter it with --price",
        options.pricePer10000Calls());
  }

  private void sayQuota() {
    if (options.quota() == 0) {
      say("quota        enter it with --quota");
      return;
    }
    boolean exceeded = coldStartCalls() > options.quota();
    say(
        "quota        %,.0f calls a second would %s when %,d processes start together",
        options.quota(), exceeded ? "be EXCEEDED" : "not be exceeded", options.processes());
    Integer rate = rate();
    if (rate == null) {
      say(
          "to set       nothing helps: fewer calls than processes. Start them in turns, renew"
              + " later, or raise the quota");
      return;
    }
    long burst = (long) Math.ceil((double) options.keysets() / rate);
    say(
        "to set       withRate(%d) in the GuardPolicy of the root key: nine tenths, shared by all",
        rate);
    say(
        "             All %,d keysets of a process then take %,d s: a deadline above %,d s, or"
            + " warmUp() in turns",
        options.keysets(), burst, 2 * burst);
  }

  private double perMillion(double perSecond) {
    return perSecond / options.messagesPerSecond() * 1e6;
  }

  private static double perMonth(double perSecond) {
    return perSecond * SECONDS_AN_HOUR * HOURS_A_MONTH;
  }

  private String price(double perSecond) {
    return options.pricePer10000Calls() > 0
        ? number(perMonth(perSecond) / 10_000 * options.pricePer10000Calls())
        : "-";
  }

  private String share(double perSecond) {
    return options.quota() > 0 ? number(100 * perSecond / options.quota()) + " %" : "-";
  }

  private void row(String name, double sealwax, double uncached) {
    row(name, number(sealwax), number(uncached));
  }

  private void row(String name, String sealwax, String uncached) {
    say("%-38s %20s %20s", name, sealwax, uncached);
  }

  private static String number(double number) {
    return String.format(Locale.ROOT, number < 1000 ? "%,.2f" : "%,.0f", number);
  }

  private void say(String format, Object... arguments) {
    say(out, format, arguments);
  }

  private static void say(PrintStream out, String format, Object... arguments) {
    out.println(String.format(Locale.ROOT, format, arguments));
  }
}
