package dev.sealwax.kms.examples.hsm;

/**
 * One row of the report: what was measured, and what a month of the user's traffic would come to.
 *
 * @param inHsm whether the root key is in the HSM
 */
record CostRow(boolean inHsm, Caching caching, Measurement measured, CostOptions options) {
  static final double HOURS_A_MONTH = 730;
  private static final double SECONDS_AN_HOUR = 3600;

  String name() {
    return (inHsm ? "HSM root, " : "software root, ") + caching.label;
  }

  /**
   * With a cache, time decides: each process unwraps each key version once and then whenever it is
   * renewed. Without, every message is a call.
   */
  double callsPerSecond() {
    if (caching == Caching.NOTHING) {
      return options.messagesPerSecond();
    }
    double renewals =
        (double) options.processes() * options.keysets() / Caching.RENEWED_AFTER.toSeconds();
    return Math.min(renewals, options.messagesPerSecond());
  }

  double callsPerMonth() {
    return callsPerSecond() * SECONDS_AN_HOUR * HOURS_A_MONTH;
  }

  /** Calls of a million messages at the user's traffic; the measured figure is of one process. */
  double callsPerMillion() {
    return options.messagesPerSecond() == 0
        ? 0
        : callsPerSecond() / options.messagesPerSecond() * 1e6;
  }

  /** How many HSMs answer that many calls on average; more are needed for peaks and outages. */
  long hsms() {
    if (!inHsm) {
      return 0;
    }
    return Math.max(1, (long) Math.ceil(callsPerSecond() / options.callsPerHsm()));
  }

  double pricePerMonth() {
    return inHsm
        ? callsPerMonth() / 10_000 * options.pricePer10000Calls()
            + hsms() * options.pricePerHsmHour() * HOURS_A_MONTH
        : 0;
  }
}
