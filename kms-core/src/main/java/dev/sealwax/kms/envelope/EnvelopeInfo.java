package dev.sealwax.kms.envelope;

import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.MalformedEnvelopeException;
import java.util.HexFormat;
import java.util.Objects;

/**
 * What an envelope says about itself, read without any key and therefore <em>unauthenticated</em>:
 * use it for inventory and routing, never for a decision of trust.
 *
 * @param formatVersion version of the envelope format
 * @param suite how the body is sealed
 * @param keyset the keyset that it names
 * @param keyVersion the key version that wrapped its data key
 * @param dataKeyId the first 16 bytes of the commitment in hex: equal for all envelopes under one
 *     data key
 * @param headerLengthBytes where the body starts
 */
public record EnvelopeInfo(
    int formatVersion,
    AlgorithmSuite suite,
    KeysetId keyset,
    int keyVersion,
    String dataKeyId,
    int headerLengthBytes) {
  private static final int DATA_KEY_ID_BYTES = 16;

  /** Longest header, in bytes: so much of an object is enough for {@link #inspect}. */
  public static final int MAX_HEADER_BYTES = EnvelopeHeader.MAX_LEN;

  /**
   * Longest header in text form, in characters: so much of a text is enough for {@link
   * #inspectText}.
   */
  public static final int MAX_HEADER_CHARS = TextForm.MAX_HEADER_CHARS;

  /**
   * Reads the header at the start of an envelope, of a split header, or of the first {@link
   * #MAX_HEADER_BYTES} of either.
   *
   * @throws MalformedEnvelopeException if there is none
   */
  public static EnvelopeInfo inspect(byte[] envelope) {
    EnvelopeHeader header = EnvelopeHeader.parse(Objects.requireNonNull(envelope, "envelope"));
    return new EnvelopeInfo(
        EnvelopeHeader.FORMAT_VERSION,
        header.suite(),
        header.keyset(),
        header.keyVersion(),
        HexFormat.of().formatHex(header.commitment(), 0, DATA_KEY_ID_BYTES),
        header.lengthBytes());
  }

  /**
   * Reads the header of an envelope in text form, or of the first {@link #MAX_HEADER_CHARS}
   * characters or more of one. What follows these is not looked at.
   *
   * @throws MalformedEnvelopeException if there is none
   */
  public static EnvelopeInfo inspectText(String text) {
    return inspect(TextForm.decode(TextForm.headerPart(Objects.requireNonNull(text, "text"))));
  }
}
