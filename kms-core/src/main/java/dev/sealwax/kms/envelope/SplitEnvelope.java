package dev.sealwax.kms.envelope;

import java.util.Arrays;
import java.util.Objects;

/**
 * An envelope in two parts, for stores that keep the header apart, for instance as object metadata:
 * a rewrap then replaces the header and leaves the body where it is. Immutable.
 */
public final class SplitEnvelope {
  private final byte[] header;
  private final byte[] body;

  private SplitEnvelope(byte[] header, byte[] body) {
    this.header = header;
    this.body = body;
  }

  /** Joins the parts; both arrays are copied. */
  public static SplitEnvelope of(byte[] header, byte[] body) {
    return new SplitEnvelope(
        Objects.requireNonNull(header, "header").clone(),
        Objects.requireNonNull(body, "body").clone());
  }

  /**
   * Splits a whole envelope.
   *
   * @throws dev.sealwax.kms.vocabulary.MalformedEnvelopeException if it does not start with a
   *     header
   */
  public static SplitEnvelope of(byte[] envelope) {
    EnvelopeHeader parsed = EnvelopeHeader.parse(Objects.requireNonNull(envelope, "envelope"));
    return new SplitEnvelope(
        parsed.toBytes(), Arrays.copyOfRange(envelope, parsed.lengthBytes(), envelope.length));
  }

  /** A copy of the header, 83 to {@link EnvelopeInfo#MAX_HEADER_BYTES} bytes. */
  public byte[] header() {
    return header.clone();
  }

  /** A copy of the body. */
  public byte[] body() {
    return body.clone();
  }

  /** The whole envelope, header first. */
  public byte[] join() {
    byte[] envelope = Arrays.copyOf(header, header.length + body.length);
    System.arraycopy(body, 0, envelope, header.length, body.length);
    return envelope;
  }

  @Override
  public String toString() {
    return "SplitEnvelope[header " + header.length + " bytes, body " + body.length + " bytes]";
  }
}
