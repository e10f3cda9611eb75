package dev.sealwax.kms.aws;

import dev.sealwax.kms.store.StoredKeyset;
import dev.sealwax.kms.store.WatchableKeysetStore.Position;
import dev.sealwax.kms.vocabulary.KeysetCorruptedException;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.util.HashMap;
import java.util.Map;
import java.util.UUID;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import software.amazon.awssdk.services.dynamodb.model.AttributeValue;

/**
 * What stands in the table: a document for each keyset, a name for each keyset, and the changes.
 *
 * <pre>
 * pk              sk                     attributes
 * keyset#orders   document               revision, document
 * name            orders
 * change          0000000000000000042    token, keyset
 * </pre>
 *
 * <p>Documents are spread over the partitions of DynamoDB. Names stand together and hold nothing
 * else, so that a listing reads no documents.
 */
final class KeysetItems {
  static final String PARTITION = "pk";
  static final String SORT = "sk";
  static final String NAMES = "name";
  static final String CHANGES = "change";

  private static final String REVISION = "revision";
  private static final String DOCUMENT = "document";
  private static final String TOKEN = "token";
  private static final String KEYSET = "keyset";

  private KeysetItems() {}

  static AttributeValue text(String value) {
    return AttributeValue.fromS(value);
  }

  static AttributeValue number(long value) {
    return AttributeValue.fromN(Long.toString(value));
  }

  private static Map<String, AttributeValue> key(String partition, String sort) {
    return Map.of(PARTITION, text(partition), SORT, text(sort));
  }

  static Map<String, AttributeValue> keyOf(KeysetId id) {
    return key("keyset#" + id, "document");
  }

  static Map<String, AttributeValue> nameOf(KeysetId id) {
    return key(NAMES, id.value());
  }

  static Map<String, AttributeValue> itemOf(StoredKeyset keyset) {
    Map<String, AttributeValue> item = new HashMap<>(keyOf(keyset.id()));
    item.put(REVISION, number(keyset.revision()));
    item.put(DOCUMENT, text(keyset.document()));
    return item;
  }

  /**
   * Reads a document.
   *
   * @throws KeysetCorruptedException if the item is not what {@link #itemOf} makes
   */
  static StoredKeyset keysetIn(Map<String, AttributeValue> item, KeysetId id) {
    @Nullable AttributeValue revision = item.get(REVISION);
    @Nullable AttributeValue document = item.get(DOCUMENT);
    if (revision == null || revision.n() == null || document == null || document.s() == null) {
      throw new KeysetCorruptedException(id, "its item has no revision or no document", null);
    }
    try {
      return new StoredKeyset(id, Long.parseLong(revision.n()), document.s());
    } catch (IllegalArgumentException e) {
      throw new KeysetCorruptedException(id, "its item has a bad revision or document", e);
    }
  }

  /** One write in the order of all; the token tells it from any other with its number. */
  record Change(long number, String token, @Nullable KeysetId written) {
    /** Before the first. */
    static final Change NONE = new Change(0, "none", null);

    /** The last that there can be, which no store ever comes near. */
    static final long LAST = 999_999_999_999_999_999L;

    private static final Pattern SORT_KEY = Pattern.compile("0[0-9]{18}");

    /** Whether there is a number for the one after it. */
    boolean hasNext() {
      return number < LAST;
    }

    Change next(KeysetId id) {
      return new Change(number + 1, UUID.randomUUID().toString(), id);
    }

    /**
     * Reads an item; its keyset is null if the item names none. Null if its place is none in the
     * order: no store has made it.
     */
    static @Nullable Change in(Map<String, AttributeValue> item) {
      String name = textIn(item, KEYSET);
      String place = textIn(item, SORT);
      long number = SORT_KEY.matcher(place).matches() ? numberOf(place) : 0;
      if (number < 1) {
        return null;
      }
      return new Change(
          number, textIn(item, TOKEN), KeysetId.isValid(name) ? KeysetId.of(name) : null);
    }

    /** The change before a position; null if no position of this store has such a value. */
    static @Nullable Change at(Position position) {
      if (position.equals(NONE.position())) {
        return NONE;
      }
      String value = position.value();
      int colon = value.indexOf(':');
      long number = colon < 0 ? -1 : numberOf(value.substring(0, colon));
      return number < 1 || number > LAST
          ? null
          : new Change(number, value.substring(colon + 1), null);
    }

    Position position() {
      return new Position(number == 0 ? token : number + ":" + token);
    }

    boolean isSameAs(Change other) {
      return number == other.number && token.equals(other.token);
    }

    Map<String, AttributeValue> key() {
      return KeysetItems.key(CHANGES, sortKey(number));
    }

    Map<String, AttributeValue> item() {
      Map<String, AttributeValue> item = new HashMap<>(key());
      item.put(TOKEN, text(token));
      item.put(KEYSET, text(String.valueOf(written)));
      return item;
    }

    /** All of one length, so that their order as texts is that of the numbers. */
    static String sortKey(long number) {
      return String.format("%019d", number);
    }

    private static long numberOf(String digits) {
      try {
        return Long.parseLong(digits);
      } catch (NumberFormatException e) {
        return -1;
      }
    }
  }

  private static String textIn(Map<String, AttributeValue> item, String name) {
    @Nullable AttributeValue value = item.get(name);
    return value == null || value.s() == null ? "" : value.s();
  }
}
