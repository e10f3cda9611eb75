package dev.sealwax.kms.examples.hsm;

import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Locale;

/** The report of {@link CostReport} as one HTML page that loads nothing. */
final class CostPage {
  private static final int ROW_HEIGHT = 34;
  private static final int LABEL_WIDTH = 270;
  private static final int CHART_WIDTH = 560;

  private static final String PAGE =
      """
      <!DOCTYPE html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <title>Sealwax: cost against performance</title>
      <style>
      body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem;
             color: #222; background: #fff }
      h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin-top: 2rem }
      table { border-collapse: collapse; width: 100%% }
      th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid #ddd }
      th:first-child, td:first-child { text-align: left }
      .warning { background: #fff3cd; border-left: 4px solid #c90; padding: .6rem 1rem }
      svg text { font: 13px system-ui, sans-serif; fill: #222 }
      </style>
      </head>
      <body>
      <h1>Cost against performance</h1>
      <p>%s, JDK %s, %d processors. Messages of %,d bytes, half encrypted and half decrypted; threads: %d.
      Root key in the HSM: <code>%s</code></p>
      %s
      <h2>What a message takes</h2>
      <svg viewBox="0 0 %d %d" role="img" aria-label="Duration of a message in each row">
      %s</svg>
      <p>Each bar ends at the 99th percentile; the dark line is the median. The scale is logarithmic.</p>
      <table>
      <tr><th></th><th>p50, µs</th><th>p95, µs</th><th>p99, µs</th><th>messages/s</th>
      <th>root key calls per million</th></tr>
      %s</table>
      <h2>A month of your traffic</h2>
      <p>%,.0f messages a second, %,d processes, %,d keysets in each. A process unwraps a cached key version anew
      every %d minutes. One HSM answers %,.0f calls a second; 10,000 calls cost %s, an HSM hour costs %s.</p>
      <table>
      <tr><th></th><th>root key calls per million</th><th>calls</th><th>HSMs</th><th>price</th></tr>
      %s</table>
      <p>HSMs are counted for the average second; peaks and outages need more.</p>
      </body>
      </html>
      """;

  private CostPage() {}

  static String of(HsmKey key, List<CostRow> rows) {
    CostOptions options = rows.get(0).options();
    StringBuilder measured = new StringBuilder();
    StringBuilder month = new StringBuilder();
    for (CostRow row : rows) {
      Measurement figures = row.measured();
      measured.append(
          format(
              "<tr><td>%s</td><td>%,.1f</td><td>%,.1f</td><td>%,.1f</td><td>%,.0f</td>"
                  + "<td>%,.1f</td></tr>\n",
              row.name(),
              figures.p50(),
              figures.p95(),
              figures.p99(),
              figures.perSecond(),
              figures.callsPerMillion()));
      month.append(
          format(
              "<tr><td>%s</td><td>%,.1f</td><td>%,.0f</td><td>%s</td><td>%s</td></tr>\n",
              row.name(),
              row.callsPerMillion(),
              row.callsPerMonth(),
              CostReport.hsms(row),
              CostReport.price(row)));
    }
    return format(
        PAGE,
        LocalDate.now(ZoneOffset.UTC),
        escape(Runtime.version().toString()),
        Runtime.getRuntime().availableProcessors(),
        options.messageBytes(),
        options.threads(),
        escape(key.uri()),
        warning(key),
        LABEL_WIDTH + CHART_WIDTH + 60,
        rows.size() * ROW_HEIGHT + 40,
        chart(rows),
        measured,
        options.messagesPerSecond(),
        options.processes(),
        options.keysets(),
        Caching.RENEWED_AFTER.toMinutes(),
        options.callsPerHsm(),
        options.hasPrices() ? options.pricePer10000Calls() : "(not entered)",
        options.hasPrices() ? options.pricePerHsmHour() : "(not entered)",
        month);
  }

  private static String warning(HsmKey key) {
    return key.isSoftware()
        ? "<p class=\"warning\"><b>"
            + escape(String.valueOf(key.module().getFileName()))
            + " is software.</b> The HSM rows show how Sealwax uses a token. They say nothing about"
            + " the speed of a device, and the key is protected by nothing.</p>"
        : "";
  }

  private static String chart(List<CostRow> rows) {
    double least = rows.stream().mapToDouble(row -> row.measured().p50()).min().orElseThrow();
    double most = rows.stream().mapToDouble(row -> row.measured().p99()).max().orElseThrow();
    int lowest = (int) Math.floor(Math.log10(Math.max(least, 0.001)));
    int highest = Math.max(lowest + 1, (int) Math.ceil(Math.log10(Math.max(most, 0.001))));
    StringBuilder svg = new StringBuilder();
    int bottom = rows.size() * ROW_HEIGHT;
    for (int power = lowest; power <= highest; power++) {
      double x = LABEL_WIDTH + (double) CHART_WIDTH * (power - lowest) / (highest - lowest);
      svg.append(
          format(
              "<line x1=\"%.1f\" y1=\"0\" x2=\"%.1f\" y2=\"%d\" stroke=\"#ddd\"/>"
                  + "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s µs</text>\n",
              x, x, bottom, x, bottom + 20, tick(power)));
    }
    for (int i = 0; i < rows.size(); i++) {
      CostRow row = rows.get(i);
      double median = place(row.measured().p50(), lowest, highest);
      double end = place(row.measured().p99(), lowest, highest);
      int y = i * ROW_HEIGHT;
      svg.append(
          format(
              "<text x=\"0\" y=\"%d\">%s</text>"
                  + "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>"
                  + "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" stroke=\"#222\""
                  + " stroke-width=\"2\"/>\n",
              y + ROW_HEIGHT / 2 + 5,
              row.name(),
              LABEL_WIDTH,
              y + 6,
              end - LABEL_WIDTH,
              ROW_HEIGHT - 12,
              row.inHsm() ? "#d9822b" : "#4a90c2",
              median,
              y + 4,
              median,
              y + ROW_HEIGHT - 4));
    }
    return svg.toString();
  }

  private static double place(double micros, int lowest, int highest) {
    double share = (Math.log10(Math.max(micros, 0.001)) - lowest) / (highest - lowest);
    return LABEL_WIDTH + CHART_WIDTH * Math.min(1, Math.max(0, share));
  }

  private static String tick(int power) {
    return power >= 0 ? format("%,.0f", Math.pow(10, power)) : format("%s", Math.pow(10, power));
  }

  private static String escape(String text) {
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("\"", "&quot;");
  }

  private static String format(String format, Object... arguments) {
    return String.format(Locale.ROOT, format, arguments);
  }
}
