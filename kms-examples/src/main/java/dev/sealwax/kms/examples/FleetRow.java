package dev.sealwax.kms.examples;

/**
 * How far a process of {@link RotateAFleet} is.
 *
 * @param primary the key version it has encrypted under most recently
 * @param rotations that this process made, and no other
 * @param errors messages that did not open
 */
record FleetRow(int primary, long encrypted, long decrypted, long rotations, long errors) {
  static final FleetRow NOTHING = new FleetRow(0, 0, 0, 0, 0);

  /** Reads what {@link #toString} writes. */
  static FleetRow parse(String line) {
    String[] fields = line.split(" ");
    return new FleetRow(
        Integer.parseInt(fields[0]),
        Long.parseLong(fields[1]),
        Long.parseLong(fields[2]),
        Long.parseLong(fields[3]),
        Long.parseLong(fields[4]));
  }

  FleetRow plus(FleetRow other) {
    return new FleetRow(
        Math.max(primary, other.primary),
        encrypted + other.encrypted,
        decrypted + other.decrypted,
        rotations + other.rotations,
        errors + other.errors);
  }

  @Override
  public String toString() {
    return primary + " " + encrypted + " " + decrypted + " " + rotations + " " + errors;
  }
}
