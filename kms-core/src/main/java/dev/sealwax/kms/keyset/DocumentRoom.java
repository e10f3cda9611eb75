package dev.sealwax.kms.keyset;

import dev.sealwax.kms.rootkey.RootKeyRule;
import dev.sealwax.kms.store.KeysetStore;
import dev.sealwax.kms.store.StoredKeyset;
import dev.sealwax.kms.vocabulary.KeyStateException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Whether the next revision of a keyset finds room in its store (keyset-v1 §6).
 *
 * <p>Who adds a version leaves room for what all other verbs can add, so that a keyset that takes
 * no more versions can still be switched off, held and shredded. Those verbs may fill the document.
 * Immutable.
 */
final class DocumentRoom {
  private static final Logger LOG = LoggerFactory.getLogger(DocumentRoom.class);

  /** In percent of what there is: from here on, each version added is warned of. */
  private static final int NEARLY_FULL = 90;

  // The longest of each in the document: these two characters are the ones that JSON escapes.
  private static final String LONGEST_TEXT = "\"".repeat(KeysetTemplate.MAX_TEXT_LENGTH);
  private static final RootKeyRule LONGEST_RULE = longestRule();
  private static final RotationPolicy LONGEST_POLICY =
      RotationPolicy.manual()
          .afterAge(RotationPolicy.MAX_AGE)
          .afterMessages(RotationPolicy.MAX_COUNT)
          .afterBytes(RotationPolicy.MAX_COUNT)
          .withPropagationDelay(RotationPolicy.MAX_PROPAGATION_DELAY);

  private final Keyset next;
  private final boolean adds;
  private final int needed;
  private final int limit;

  private DocumentRoom(Keyset next, boolean adds, int needed, int limit) {
    this.next = next;
    this.adds = adds;
    this.needed = needed;
    this.limit = limit;
  }

  /**
   * Measures a change.
   *
   * @param versionsBefore how many there were
   * @param document that of {@code next}
   */
  static DocumentRoom of(KeysetStore store, int versionsBefore, Keyset next, String document) {
    boolean adds = next.versions().size() > versionsBefore;
    return new DocumentRoom(
        next,
        adds,
        adds ? KeysetJson.length(fullest(next)) : document.length(),
        Math.min(store.maxDocumentChars(), StoredKeyset.MAX_DOCUMENT_CHARS));
  }

  /** Refuses what finds no room. */
  void require() {
    if (needed > limit) {
      String problem =
          adds
              ? "one version more leaves too little room to shred or hold the keyset: its document"
                  + " could get "
              : "its document would have ";
      throw new KeyStateException(
          next.id(),
          next.versions().size(),
          problem
              + needed
              + " characters, the limit is "
              + limit
              + "; destroy versions that nothing needs, or create a new keyset and re-encrypt");
    }
  }

  /** Says so if not many versions can be added any more. */
  void warnIfNearlyFull() {
    int versions = next.versions().size();
    if (adds && (isNearlyFull(needed, limit) || isNearlyFull(versions, Keyset.MAX_VERSIONS))) {
      LOG.warn(
          "keyset {} is nearly full: it has {} of {} versions, and its document can get {} of {}"
              + " characters; destroy versions that nothing needs, which shortens it, or re-encrypt"
              + " under a new keyset before this one takes no more versions",
          next.id(),
          versions,
          Keyset.MAX_VERSIONS,
          needed,
          limit);
    }
  }

  private static boolean isNearlyFull(long used, long available) {
    return used * 100 >= available * NEARLY_FULL;
  }

  /**
   * A keyset that is not destroyed, with the longest document that verbs can give it which neither
   * add a version nor wrap one anew.
   */
  static Keyset fullest(Keyset keyset) {
    List<KeyVersion> versions = new ArrayList<>();
    int primary = 0; // the last that may be it: none has a longer number
    for (KeyVersion version : keyset.versions()) {
      versions.add(version.fullest(LONGEST_TEXT));
      if (version.state() != KeyState.DESTROYED) {
        primary = version.number();
      }
    }
    return Keyset.of(
        keyset.id(),
        RotationPolicy.MAX_COUNT, // the largest integer of any member
        keyset.policy().withRotationPolicy(LONGEST_POLICY).withRootKeyRule(LONGEST_RULE),
        new LegalHold(Instant.EPOCH, LONGEST_TEXT),
        Instant.EPOCH,
        keyset.createdAt(),
        primary,
        0, // "null" is as long as the largest number
        versions);
  }

  private static RootKeyRule longestRule() {
    String[] tags = new String[2 * RootKeyRule.MAX_TAGS];
    for (int i = 0; i < tags.length; i++) {
      String number = Integer.toBinaryString(tags.length + i); // all of one length
      tags[i] =
          number.replace('0', '"').replace('1', '\\')
              + "\"".repeat(RootKeyRule.MAX_TAG_LENGTH - number.length());
    }
    return RootKeyRule.any()
        .requiring(Arrays.copyOf(tags, RootKeyRule.MAX_TAGS))
        .forbidding(Arrays.copyOfRange(tags, RootKeyRule.MAX_TAGS, tags.length));
  }
}
