package dev.sealwax.kms.store;

import dev.sealwax.kms.store.KeysetModel.Verb;

/**
 * A call that a process made to a keyset, and what came of it.
 *
 * @param version the key version it was about, or 0
 * @param started by {@link System#nanoTime}, which is one clock for all processes of a Linux
 * @param revision that it has written or, if it is a look, that it has seen; 0 if it was refused
 * @param states of that revision, as {@link KeysetModel} writes them
 */
record OperatorCall(
    String keyset, Verb verb, int version, long started, long ended, long revision, String states) {
  static final String REFUSED = "refused";

  static OperatorCall parse(String line) {
    String[] fields = line.split(" ");
    return new OperatorCall(
        fields[0],
        Verb.valueOf(fields[1]),
        Integer.parseInt(fields[2]),
        Long.parseLong(fields[3]),
        Long.parseLong(fields[4]),
        Long.parseLong(fields[5]),
        fields[6]);
  }

  boolean isRefused() {
    return revision == 0;
  }

  boolean isWrite() {
    return verb != Verb.GET && !isRefused();
  }

  /** One line of a log. */
  @Override
  public String toString() {
    return String.join(
        " ",
        keyset,
        verb.name(),
        Integer.toString(version),
        Long.toString(started),
        Long.toString(ended),
        Long.toString(revision),
        states);
  }
}
