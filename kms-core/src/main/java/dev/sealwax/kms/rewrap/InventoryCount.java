package dev.sealwax.kms.rewrap;

import dev.sealwax.kms.vocabulary.KeysetId;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Counts of an {@link Inventory} while they grow. For one thread. */
final class InventoryCount {
  /** Forged headers can claim any version of any keyset; memory is for so many of them. */
  static final int MAX_ROWS = 10_000;

  private record Version(KeysetId keyset, int number) {}

  private record Count(long claimed, long verified) {
    Count plus(Count other) {
      return new Count(claimed + other.claimed, verified + other.verified);
    }
  }

  private static final Count CLAIMED = new Count(1, 0);
  private static final Count VERIFIED = new Count(1, 1);

  private final Map<Version, Count> versions = new HashMap<>();
  private long withoutValue;
  private long noEnvelopes;
  private long beyondTheTable;
  private long emptySources;

  void emptySource() {
    emptySources++;
  }

  void withoutValue() {
    withoutValue++;
  }

  void noEnvelope() {
    noEnvelopes++;
  }

  void claimed(KeysetId keyset, int version) {
    Version key = new Version(keyset, version);
    if (versions.size() >= MAX_ROWS && !versions.containsKey(key)) {
      beyondTheTable++;
    } else {
      versions.merge(key, CLAIMED, Count::plus);
    }
  }

  void verified(KeysetId keyset, int version) {
    // Real versions are few, so a full table never keeps one out.
    versions.merge(new Version(keyset, version), VERIFIED, Count::plus);
  }

  InventoryReport report() {
    List<InventoryReport.Row> rows = new ArrayList<>();
    versions.forEach(
        (version, count) ->
            rows.add(
                new InventoryReport.Row(
                    version.keyset(), version.number(), count.claimed(), count.verified())));
    return new InventoryReport(rows, withoutValue, noEnvelopes, beyondTheTable, emptySources);
  }
}
