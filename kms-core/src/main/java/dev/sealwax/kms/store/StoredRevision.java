package dev.sealwax.kms.store;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadFeature;
import java.io.IOException;
import java.util.Optional;

/**
 * The one thing a file store reads in a document: its top-level member {@code revision}.
 *
 * <p>The whole document is parsed strictly on the way, so that a torn or edited file is reported as
 * such before anyone compares revisions. Stateless; safe for any thread.
 */
final class StoredRevision {
  private static final String MEMBER = "revision";
  private static final JsonFactory JSON =
      JsonFactory.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          // the parser's message quotes the input; a document is no secret, but it is no log line
          // either
          .disable(StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION)
          .build();

  private StoredRevision() {}

  /** Whether a document says the revision it is about to be stored under. */
  static boolean isOf(StoredKeyset keyset) {
    try {
      return parse(keyset.document()).equals(Optional.of(keyset.revision()));
    } catch (IOException e) {
      return false;
    }
  }

  /**
   * Reads the revision.
   *
   * @return the revision, or empty if there is no top-level {@code revision} that is an integer
   *     from 1 to 2^63-1
   * @throws IOException if the text is not exactly one JSON object without duplicate members
   */
  static Optional<Long> parse(String document) throws IOException {
    Optional<Long> revision = Optional.empty();
    try (JsonParser json = JSON.createParser(document)) {
      if (json.nextToken() != JsonToken.START_OBJECT) {
        throw new IOException("it does not start with a JSON object");
      }
      while (json.nextToken() != JsonToken.END_OBJECT) {
        boolean wanted = MEMBER.equals(json.currentName());
        JsonToken value = json.nextToken();
        if (wanted && value == JsonToken.VALUE_NUMBER_INT) {
          revision =
              json.getNumberType() == JsonParser.NumberType.BIG_INTEGER || json.getLongValue() < 1
                  ? Optional.empty()
                  : Optional.of(json.getLongValue());
        }
        json.skipChildren();
      }
      if (json.nextToken() != null) {
        throw new IOException("something follows the JSON object");
      }
    }
    return revision;
  }
}
