package dev.sealwax.kms.vocabulary;

/**
 * The bytes are not an envelope of a version and suite that this library reads. What to do: check
 * that the right column, file or byte range was passed; a newer library may have written it.
 */
public final class MalformedEnvelopeException extends KmsException {
  private static final long serialVersionUID = 1L;

  private final String field;
  private final long offset;

  /**
   * Reports a field.
   *
   * @param field name of the field in the format's specification
   * @param offset where the field starts, in bytes (characters for the text form) from the start of
   *     the input
   * @param problem what is wrong with it, without any secret
   */
  public MalformedEnvelopeException(String field, long offset, String problem) {
    super("malformed envelope: " + field + " at offset " + offset + " " + problem, null);
    this.field = field;
    this.offset = offset;
  }

  private MalformedEnvelopeException(MalformedEnvelopeException original) {
    super(original);
    this.field = original.field;
    this.offset = original.offset;
  }

  /** The offending field, as the format's specification names it. */
  public String field() {
    return field;
  }

  /** Where the field starts, in bytes (characters for the text form). */
  public long offset() {
    return offset;
  }

  @Override
  public MalformedEnvelopeException forAnotherCaller() {
    return new MalformedEnvelopeException(this);
  }
}
