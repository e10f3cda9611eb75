package dev.sealwax.kms.rewrap;

import dev.sealwax.kms.envelope.EnvelopeInfo;
import java.util.Arrays;
import java.util.Objects;

/**
 * One record of an {@link EnvelopeSource}, as it was when it was read. Immutable: its arrays are
 * not copied, and nobody may change them.
 *
 * <p>The id may be sensitive (an account number, a file name). It goes to the listener, into the
 * report and, as a position, into the checkpoint, and nowhere else: never into a log.
 */
public final class EnvelopeRecord {
  /** What was found in the place of the envelope. */
  public enum Content {
    /** Bytes, which may or may not be an envelope. */
    BYTES,
    /** Nothing, for instance SQL {@code NULL}; such records are skipped. */
    NONE,
    /** Something that the source could not read; such records are failures. */
    UNREADABLE
  }

  private static final byte[] NO_BYTES = {};

  private final String id;
  private final Content content;
  private final byte[] start;

  private EnvelopeRecord(String id, Content content, byte[] start) {
    this.id = Objects.requireNonNull(id, "record id");
    this.content = content;
    this.start = start;
  }

  /**
   * A record with something in it.
   *
   * @param start the whole content, or at least the first {@link EnvelopeInfo#MAX_HEADER_BYTES} of
   *     it; kept, not copied
   */
  public static EnvelopeRecord of(String id, byte[] start) {
    return new EnvelopeRecord(id, Content.BYTES, Objects.requireNonNull(start, "start"));
  }

  /** A record without a value. */
  public static EnvelopeRecord none(String id) {
    return new EnvelopeRecord(id, Content.NONE, NO_BYTES);
  }

  /** A record that is there and cannot be read, or holds something of the wrong kind. */
  public static EnvelopeRecord unreadable(String id) {
    return new EnvelopeRecord(id, Content.UNREADABLE, NO_BYTES);
  }

  public String id() {
    return id;
  }

  public Content content() {
    return content;
  }

  /** The start of the content, empty if there is none. Not a copy: to be read only. */
  public byte[] start() {
    return start;
  }

  /** Whether {@code other}, of the same length or longer, starts as this record's header does. */
  boolean startsLike(byte[] other, int lengthBytes) {
    return Arrays.equals(start, 0, lengthBytes, other, 0, lengthBytes);
  }

  /** Whether {@code other} starts with the header of this record, which must have one. */
  boolean hasHeaderOf(byte[] other) {
    int length = EnvelopeInfo.inspect(start).headerLengthBytes();
    return other.length >= length && startsLike(other, length);
  }

  /** Not the id, which may be sensitive. */
  @Override
  public String toString() {
    return "EnvelopeRecord[" + content + ", " + start.length + " bytes]";
  }
}
