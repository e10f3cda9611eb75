package dev.sealwax.kms.rewrap;

import java.util.Arrays;
import java.util.Objects;

/**
 * A header that should take the place of another. Both are of one length, so that nothing behind
 * them moves. Immutable: arrays are not copied, and nobody may change them.
 */
public final class HeaderChange {
  private final EnvelopeRecord record;
  private final byte[] newHeader;

  /**
   * Joins a record and its new header.
   *
   * @throws IllegalArgumentException if the record has fewer bytes than the new header
   */
  public HeaderChange(EnvelopeRecord record, byte[] newHeader) {
    Objects.requireNonNull(record, "record");
    if (Objects.requireNonNull(newHeader, "new header").length > record.start().length) {
      throw new IllegalArgumentException(
          "a header of "
              + newHeader.length
              + " bytes cannot replace the start of "
              + record.start().length);
    }
    this.record = record;
    this.newHeader = newHeader;
  }

  /** The record as it was read; the old header is at its start. */
  public EnvelopeRecord record() {
    return record;
  }

  /** A copy of the old header: what the record must still start with. */
  public byte[] oldHeader() {
    return Arrays.copyOf(record.start(), newHeader.length);
  }

  /** What it should start with. Not a copy: to be read only. */
  public byte[] newHeader() {
    return newHeader;
  }

  @Override
  public String toString() {
    return "HeaderChange[" + newHeader.length + " bytes]";
  }
}
