package dev.sealwax.kms.examples.hsm;

import static dev.sealwax.kms.examples.NumberOptions.number;
import static dev.sealwax.kms.examples.NumberOptions.whole;

import dev.sealwax.kms.examples.InputException;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;

/**
 * What {@link CostReport} measures and reckons with.
 *
 * @param measured how long each row is measured
 * @param callsPerHsm root key calls that one HSM answers in a second; 0 until they are measured
 */
record CostOptions(
    Duration measured,
    int messageBytes,
    int threads,
    double messagesPerSecond,
    int processes,
    int keysets,
    double pricePer10000Calls,
    double pricePerHsmHour,
    double callsPerHsm,
    Path report) {
  static final String USAGE =
      """
      usage: CostReport [MODULE TOKEN-URI] [options]

        --seconds N              measured for each row (default 5)
        --bytes N                of each message (1024)
        --threads N              that encrypt and decrypt at once (1)
        --messages-per-second N  of all processes together (1000)
        --processes N            with a cache each (10)
        --keysets N              in use in each process (100)
        --price P                of 10,000 calls of the root key (0)
        --hsm-price P            of one HSM for an hour (0)
        --hsm-rate N             calls that one HSM answers in a second (as measured)
        --report FILE            the page (sealwax-cost.html)

      Prices are yours to enter, in any currency.\
      """;

  static CostOptions parse(List<String> arguments) {
    Builder builder = new Builder();
    Deque<String> rest = new ArrayDeque<>(arguments);
    while (!rest.isEmpty()) {
      String option = rest.remove();
      if (rest.isEmpty()) {
        throw new InputException(option + " needs a value\n" + USAGE);
      }
      builder.take(option, rest.remove());
    }
    return builder.build();
  }

  boolean hasPrices() {
    return pricePer10000Calls > 0 || pricePerHsmHour > 0;
  }

  CostOptions withCallsPerHsm(double calls) {
    return new CostOptions(
        measured,
        messageBytes,
        threads,
        messagesPerSecond,
        processes,
        keysets,
        pricePer10000Calls,
        pricePerHsmHour,
        calls,
        report);
  }

  private static final class Builder {
    private int seconds = 5;
    private int messageBytes = 1024;
    private int threads = 1;
    private double messagesPerSecond = 1000;
    private int processes = 10;
    private int keysets = 100;
    private double pricePer10000Calls;
    private double pricePerHsmHour;
    private double callsPerHsm;
    private Path report = Path.of("sealwax-cost.html");

    private void take(String option, String value) {
      switch (option) {
        case "--seconds" -> seconds = whole(option, value, 1, 3600);
        case "--bytes" -> messageBytes = whole(option, value, 1, 1 << 20);
        case "--threads" -> threads = whole(option, value, 1, 256);
        case "--messages-per-second" -> messagesPerSecond = number(option, value);
        case "--processes" -> processes = whole(option, value, 1, 1_000_000);
        case "--keysets" -> keysets = whole(option, value, 1, 10_000_000);
        case "--price" -> pricePer10000Calls = number(option, value);
        case "--hsm-price" -> pricePerHsmHour = number(option, value);
        case "--hsm-rate" -> callsPerHsm = number(option, value);
        case "--report" -> report = path(value);
        default -> throw new InputException("unknown option " + option + "\n" + USAGE);
      }
    }

    private static Path path(String value) {
      try {
        return Path.of(value);
      } catch (InvalidPathException e) {
        throw new InputException("not a path: " + value);
      }
    }

    private CostOptions build() {
      return new CostOptions(
          Duration.ofSeconds(seconds),
          messageBytes,
          threads,
          messagesPerSecond,
          processes,
          keysets,
          pricePer10000Calls,
          pricePerHsmHour,
          callsPerHsm,
          report);
    }
  }
}
