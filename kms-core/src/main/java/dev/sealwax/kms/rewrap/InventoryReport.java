package dev.sealwax.kms.rewrap;

import dev.sealwax.kms.vocabulary.KeysetId;
import java.util.Comparator;
import java.util.List;

/**
 * What an {@link Inventory} has counted. Immutable.
 *
 * @param rows by keyset and version, ascending; unmodifiable
 * @param withoutValue records without a value
 * @param noEnvelopes records with something that is no envelope, or cannot be read
 * @param beyondTheTable unverified records of yet other versions than the ten thousand in {@code
 *     rows}; a sign of forgery
 * @param emptySources sources without any record, such as a directory that is not mounted
 */
public record InventoryReport(
    List<Row> rows, long withoutValue, long noEnvelopes, long beyondTheTable, long emptySources) {
  private static final Comparator<Row> ORDER =
      Comparator.comparing(Row::keyset).thenComparing(Row::version);

  /**
   * Records of one version.
   *
   * @param keyset the keyset that headers name
   * @param version the version that they name
   * @param claimed how many name it, whether or not it exists
   * @param verified how many of these were unwrapped and compared with their commitment; 0 in an
   *     inventory of claims
   */
  public record Row(KeysetId keyset, int version, long claimed, long verified) {}

  public InventoryReport {
    rows = rows.stream().sorted(ORDER).toList();
  }

  /** A line for each row and one for the rest. */
  public String describe() {
    StringBuilder out = new StringBuilder();
    for (Row row : rows) {
      out.append(
          String.format(
              "%s version %d: %,d claimed, %,d verified%n",
              row.keyset(), row.version(), row.claimed(), row.verified()));
    }
    return out.append(
            String.format(
                "without value %,d, no envelope %,d, beyond the table %,d, empty sources %,d%n",
                withoutValue, noEnvelopes, beyondTheTable, emptySources))
        .toString();
  }
}
