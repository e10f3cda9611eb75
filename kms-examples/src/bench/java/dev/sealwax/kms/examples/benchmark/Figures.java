package dev.sealwax.kms.examples.benchmark;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/**
 * Named figures of one measurement, one value per JVM that took it. Not safe for concurrent use.
 */
final class Figures {
  private static final String PREFIX = "figure\t";

  private final Map<String, List<Double>> values = new TreeMap<>();

  /** Prints a figure for the JVM that started this one. */
  static void report(String key, double value) {
    System.out.println(PREFIX + key + "\t" + value);
  }

  /** Takes what {@link #report} printed; other lines are left alone. */
  void readLine(String line) {
    if (line.startsWith(PREFIX)) {
      String[] fields = line.split("\t", -1);
      values.computeIfAbsent(fields[1], k -> new ArrayList<>()).add(Double.valueOf(fields[2]));
    }
  }

  /**
   * The median over the JVMs.
   *
   * @throws IllegalArgumentException if no JVM reported that figure
   */
  double of(String key) {
    return median(all(key));
  }

  /** The median, and the lowest and highest of the JVMs when there was more than one. */
  String ofWithRange(String key) {
    double[] all = all(key);
    Arrays.sort(all);
    return all.length == 1
        ? format("%.2f", all[0])
        : format("%.2f (%.2f–%.2f)", median(all), all[0], all[all.length - 1]);
  }

  private double[] all(String key) {
    List<Double> all = values.get(key);
    if (all == null) {
      throw new IllegalArgumentException(
          "no JVM reported " + key + "; reported: " + values.keySet());
    }
    return all.stream().mapToDouble(Double::doubleValue).toArray();
  }

  static double median(double... values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    int middle = sorted.length / 2;
    return sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }

  /** {@link String#format} with a decimal point wherever the table is made. */
  static String format(String pattern, Object... values) {
    return String.format(Locale.ROOT, pattern, values);
  }
}
