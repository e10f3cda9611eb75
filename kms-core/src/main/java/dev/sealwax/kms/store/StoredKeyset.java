package dev.sealwax.kms.store;

import dev.sealwax.kms.vocabulary.KeysetId;
import java.util.Objects;

/**
 * A keyset as a store sees it: its name, its revision, and a document the store must not interpret.
 *
 * @param id the keyset's name
 * @param revision counts the writes of this keyset, from 1; equals the {@code revision} member of
 *     the document
 * @param document the authenticated JSON of keyset-v1, at most {@link #MAX_DOCUMENT_CHARS}
 *     characters, all ASCII
 */
public record StoredKeyset(KeysetId id, long revision, String document) {
  /**
   * Longest document, in characters and (being ASCII) in bytes: 1,000 key versions, the most there
   * may be, of some 1,040 each. One that a local root key holds takes 500, and 370 more may be
   * needed to shred it. A store may hold less, see {@link KeysetStore#maxDocumentChars}.
   */
  public static final int MAX_DOCUMENT_CHARS = 1 << 20;

  public StoredKeyset {
    Objects.requireNonNull(id, "keyset id");
    Objects.requireNonNull(document, "document");
    if (revision < 1) {
      throw new IllegalArgumentException("revision counts from 1, got " + revision);
    }
    if (document.length() > MAX_DOCUMENT_CHARS) {
      throw new IllegalArgumentException(
          "keyset document has "
              + document.length()
              + " characters, the limit is "
              + MAX_DOCUMENT_CHARS);
    }
    for (int i = 0; i < document.length(); i++) {
      if (document.charAt(i) > 0x7F) {
        throw new IllegalArgumentException(
            String.format(
                "keyset document must be ASCII, character %d is U+%04X",
                i, (int) document.charAt(i)));
      }
    }
  }

  /**
   * Rejects what {@link KeysetStore#create} may not be given; for stores to call.
   *
   * @throws IllegalArgumentException if the revision is not 1; a later revision belongs into {@link
   *     KeysetStore#replace}
   */
  public void requireFirst() {
    if (revision != 1) {
      throw new IllegalArgumentException("a new keyset has revision 1, got " + revision);
    }
  }

  /**
   * Rejects what {@link KeysetStore#replace} may not be given; for stores to call.
   *
   * @throws IllegalArgumentException if the revision is 1, which belongs into {@link
   *     KeysetStore#create}
   */
  public void requireNotFirst() {
    if (revision == 1) {
      throw new IllegalArgumentException(
          "revision 1 replaces nothing; create keyset " + id + " instead");
    }
  }

  /** Name, revision and size; the document itself is long and of no use in a log. */
  @Override
  public String toString() {
    return "StoredKeyset["
        + id
        + ", revision "
        + revision
        + ", "
        + document.length()
        + " characters]";
  }
}
