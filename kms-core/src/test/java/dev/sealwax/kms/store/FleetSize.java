package dev.sealwax.kms.store;

import java.time.Duration;

/**
 * How large a fleet is and how long it works: short in every build, {@code -Dsealwax.fleet=full}
 * for the full measure.
 *
 * @param changes of each writer, beside the rotations under load
 * @param keysets that are changed in every way
 * @param load how long messages are encrypted and decrypted meanwhile, at least
 */
record FleetSize(int processes, int writers, int changes, int keysets, Duration load) {
  private static final String PROPERTY = "sealwax.fleet";

  /** So many changes a writer makes one after the other, all writers at the same time. */
  static final int BURST = 4;

  /** The size that this JVM is told to have. */
  static FleetSize chosen() {
    return switch (name()) {
      case "short" -> new FleetSize(2, 2, 64, 4, Duration.ofSeconds(4));
      case "full" -> new FleetSize(4, 2, 1250, 16, Duration.ofMinutes(10));
      default -> throw new IllegalArgumentException(PROPERTY + " must be full or short: " + name());
    };
  }

  /** Makes another JVM choose as this one does. */
  static String option() {
    return "-D" + PROPERTY + "=" + name();
  }

  /** Whether more is to be done than a build has time for. */
  static boolean isFull() {
    return name().equals("full");
  }

  private static String name() {
    return System.getProperty(PROPERTY, "short");
  }

  int allWriters() {
    return processes * writers;
  }

  int allChanges() {
    return allWriters() * changes;
  }

  /** From one burst to the next, so that the changes last as long as the load. */
  long burstNanos() {
    return load.toNanos() / (changes / BURST);
  }
}
