package dev.sealwax.kms.rewrap;

import dev.sealwax.kms.rewrap.RewrapFailure.Reason;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** Counts while they grow. For one thread; slices of a batch are added up when they are done. */
final class Tally {
  /** Records met and left under one version. */
  private record Standing(long found, long left) {
    Standing plus(Standing other) {
      return new Standing(found + other.found, left + other.left);
    }
  }

  private static final Standing MET = new Standing(1, 0);
  private static final Standing LEFT = new Standing(0, 1);

  private long scanned;
  private long moved;
  private long reencrypted;
  private long alreadyThere;
  private long withoutValue;
  private long otherKeyset;
  private long gone;
  private final Map<Reason, Long> failures = new EnumMap<>(Reason.class);
  // Only versions that a keyset has get in here, so that forged headers cannot fill the memory.
  private final Map<KeysetId, TreeMap<Integer, Standing>> versions = new TreeMap<>();

  void withoutValue() {
    scanned++;
    withoutValue++;
  }

  void otherKeyset() {
    scanned++;
    otherKeyset++;
  }

  void alreadyThere(KeysetId keyset, int version) {
    scanned++;
    alreadyThere++;
    met(keyset, version);
    left(keyset, version);
  }

  void moved(KeysetId keyset, int from, int to) {
    scanned++;
    moved++;
    met(keyset, from);
    left(keyset, to);
  }

  void reencrypted(KeysetId keyset, int from, int to) {
    scanned++;
    reencrypted++;
    met(keyset, from);
    left(keyset, to);
  }

  /** Counts as re-encrypted, but stays where it is: nothing is written. */
  void wouldReencrypt(KeysetId keyset, int version) {
    scanned++;
    reencrypted++;
    met(keyset, version);
    left(keyset, version);
  }

  /** Counts as moved, but stays where it is: nothing is written. */
  void wouldMove(KeysetId keyset, int version) {
    scanned++;
    moved++;
    met(keyset, version);
    left(keyset, version);
  }

  void gone(KeysetId keyset, int version) {
    scanned++;
    gone++;
    met(keyset, version);
  }

  /** A failure of a record that is under no version we know. */
  void failed(Reason reason) {
    scanned++;
    failures.merge(reason, 1L, Long::sum);
  }

  void failed(Reason reason, KeysetId keyset, int version) {
    failed(reason);
    met(keyset, version);
    left(keyset, version);
  }

  private void met(KeysetId keyset, int version) {
    add(keyset, version, MET);
  }

  private void left(KeysetId keyset, int version) {
    add(keyset, version, LEFT);
  }

  private void add(KeysetId keyset, int version, Standing standing) {
    versions
        .computeIfAbsent(keyset, key -> new TreeMap<>())
        .merge(version, standing, Standing::plus);
  }

  void add(Tally other) {
    add(other.counts(), other.versions());
  }

  void add(RewrapCounts counts, List<VersionCount> table) {
    scanned += counts.scanned();
    moved += counts.moved();
    reencrypted += counts.reencrypted();
    alreadyThere += counts.alreadyThere();
    withoutValue += counts.withoutValue();
    otherKeyset += counts.otherKeyset();
    gone += counts.gone();
    counts.failures().forEach((reason, count) -> failures.merge(reason, count, Long::sum));
    for (VersionCount row : table) {
      add(row.keyset(), row.version(), new Standing(row.found(), row.left()));
    }
  }

  RewrapCounts counts() {
    return new RewrapCounts(
        scanned, moved, reencrypted, alreadyThere, withoutValue, otherKeyset, gone, failures);
  }

  /** By keyset and version, ascending. */
  List<VersionCount> versions() {
    List<VersionCount> rows = new ArrayList<>();
    versions.forEach(
        (keyset, standings) ->
            standings.forEach(
                (version, standing) ->
                    rows.add(
                        new VersionCount(keyset, version, standing.found(), standing.left()))));
    return rows;
  }
}
