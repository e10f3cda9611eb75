package dev.sealwax.kms.store;

/**
 * What a process of a fleet has done.
 *
 * @param versions whose envelopes it has opened
 * @param conflicts writes for which another writer was faster, and which were done again
 */
record FleetCounts(long encrypted, long decrypted, long failed, long versions, long conflicts) {
  static FleetCounts parse(String line) {
    String[] fields = line.split(" ");
    return new FleetCounts(
        Long.parseLong(fields[0]),
        Long.parseLong(fields[1]),
        Long.parseLong(fields[2]),
        Long.parseLong(fields[3]),
        Long.parseLong(fields[4]));
  }

  @Override
  public String toString() {
    return encrypted + " " + decrypted + " " + failed + " " + versions + " " + conflicts;
  }
}
