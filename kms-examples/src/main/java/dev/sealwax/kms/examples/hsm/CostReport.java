package dev.sealwax.kms.examples.hsm;

import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.function.Supplier;

/**
 * Cost against performance: a root key in a file and one in an HSM, each with data keys cached,
 * with a data key for each message, and with nothing cached. Prints a table and writes it as a page
 * with a chart. {@code --help} lists what it can be told.
 */
public final class CostReport {
  private final CostOptions options;
  private final PrintStream out;

  private CostReport(CostOptions options, PrintStream out) {
    this.options = options;
    this.out = out;
  }

  public static void main(String[] args) throws Exception {
    if (Arrays.asList(args).contains("--help")) {
      System.out.println(CostOptions.USAGE);
      return;
    }
    HsmExample.main(CostReport.class, args, CostReport::run);
  }

  static void run(HsmKey key, Path directory, List<String> arguments, PrintStream out)
      throws IOException {
    CostOptions options = CostOptions.parse(arguments);
    List<CostRow> rows = new CostReport(options, out).measure(key, directory);
    CostReport report = new CostReport(rows.get(0).options(), out);
    report.print(key, rows);
    String page = CostPage.of(key, rows);
    Files.write(options.report(), page.getBytes(StandardCharsets.UTF_8));
    out.printf("%nwritten to %s%n", options.report().toAbsolutePath());
  }

  private List<CostRow> measure(HsmKey key, Path directory) {
    Path file = directory.resolve("root.key");
    LocalRootKey.create(file, sealingKey()).close();
    Map<Caching, Measurement> software =
        measure("software root", directory, () -> LocalRootKey.open(file, sealingKey()));
    Map<Caching, Measurement> hsm = measure("HSM root", directory, key::open);
    CostOptions reckoned =
        options.callsPerHsm() > 0
            ? options
            : options.withCallsPerHsm(
                callsPerSecond(Objects.requireNonNull(hsm.get(Caching.NOTHING))));
    List<CostRow> rows = new ArrayList<>();
    software.forEach((caching, row) -> rows.add(new CostRow(false, caching, row, reckoned)));
    hsm.forEach((caching, row) -> rows.add(new CostRow(true, caching, row, reckoned)));
    return rows;
  }

  private static double callsPerSecond(Measurement measured) {
    return measured.perSecond() * measured.callsPerMillion() / 1e6;
  }

  private Map<Caching, Measurement> measure(
      String root, Path directory, Supplier<? extends RootKey> rootKey) {
    Map<Caching, Measurement> measured = new EnumMap<>(Caching.class);
    for (Caching caching : Caching.values()) {
      out.printf("measuring %s, %s ...%n", root, caching.label);
      Path keysets = directory.resolve(root + " " + caching);
      measured.put(caching, Measurement.of(rootKey, keysets, caching, options));
    }
    return measured;
  }

  /** In earnest these bytes come from a secret manager. */
  private static KeyMaterial sealingKey() {
    return KeyMaterial.copyOf(new byte[32]);
  }

  private void print(HsmKey key, List<CostRow> rows) {
    say("");
    say("root key  %s", key.description());
    if (key.isSoftware()) {
      say("          The figures of the HSM rows say nothing about a device.");
    }
    say(
        "messages  %,d bytes, half encrypted and half decrypted; threads: %d",
        options.messageBytes(), options.threads());
    say("");
    say(
        "%-38s %9s %9s %9s %11s %15s",
        "microseconds", "p50", "p95", "p99", "per second", "calls/million");
    for (CostRow row : rows) {
      Measurement measured = row.measured();
      say(
          "%-38s %,9.1f %,9.1f %,9.1f %,11.0f %,15.1f",
          row.name(),
          measured.p50(),
          measured.p95(),
          measured.p99(),
          measured.perSecond(),
          measured.callsPerMillion());
    }
    say("");
    say(
        "A month at %,.0f messages a second, %,d processes, %,d keysets in each:",
        options.messagesPerSecond(), options.processes(), options.keysets());
    say("%-38s %15s %15s %7s %15s", "", "calls/million", "calls a month", "HSMs", "price");
    for (CostRow row : rows) {
      say(
          "%-38s %,15.1f %,15.0f %7s %15s",
          row.name(), row.callsPerMillion(), row.callsPerMonth(), hsms(row), price(row));
    }
    say("One HSM answers %,.0f calls a second. %s", options.callsPerHsm(), prices());
  }

  static String hsms(CostRow row) {
    return row.inHsm() ? String.format(Locale.ROOT, "%,d", row.hsms()) : "-";
  }

  static String price(CostRow row) {
    return row.inHsm() && row.options().hasPrices()
        ? String.format(Locale.ROOT, "%,.2f", row.pricePerMonth())
        : "-";
  }

  private String prices() {
    return options.hasPrices()
        ? String.format(
            Locale.ROOT,
            "Prices as entered: %s for 10,000 calls, %s for an HSM hour.",
            options.pricePer10000Calls(),
            options.pricePerHsmHour())
        : "Enter prices with --price and --hsm-price.";
  }

  private void say(String format, Object... arguments) {
    out.println(String.format(Locale.ROOT, format, arguments));
  }
}
