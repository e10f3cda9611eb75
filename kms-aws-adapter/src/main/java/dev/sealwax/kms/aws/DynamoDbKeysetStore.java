package dev.sealwax.kms.aws;

import dev.sealwax.kms.aws.KeysetItems.Change;
import dev.sealwax.kms.store.StoredKeyset;
import dev.sealwax.kms.store.WatchableKeysetStore;
import dev.sealwax.kms.store.WriteSignal;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import dev.sealwax.kms.vocabulary.KeysetStoreException.Reason;
import java.time.Duration;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.services.dynamodb.DynamoDbClient;
import software.amazon.awssdk.services.dynamodb.model.ResourceInUseException;

/**
 * A keyset store in a table of DynamoDB, shared by any number of processes.
 *
 * <p>The {@link DynamoDbClient} is the application's, with its region, credentials and retries, and
 * stays open when this is closed; {@link AwsClients#dynamoDb} makes one that fits. Each request
 * ends with the client's {@code apiCallTimeout}, or after 10 seconds if it has none. Safe for any
 * thread and any number of stores on the same table.
 *
 * <p><b>Table.</b> Made by {@link #createTable} or the tools of the application, never by opening a
 * store. It is this store's alone, in one region: replicas of a global table would each let a
 * different writer win.
 *
 * <p><b>Writes</b> are transactions: the document, if the stored revision is the one before it, and
 * an entry into the list of changes, whose place in the order nobody else may take. Who comes too
 * late for the place takes the next. When the answer to a write is lost, the list of changes tells
 * whether it took effect; only if that cannot be read either, or does not say, is the outcome
 * unknown, which is {@link Reason#UNAVAILABLE}, whose remedy is to load again. All reads are
 * consistent.
 *
 * <p><b>Size.</b> An item of DynamoDB holds 400 KB, so a keyset has room for some hundreds of key
 * versions; the verb that adds one more refuses. Other users of this class are refused a document
 * of more than {@link #MAX_DOCUMENT_CHARS} characters with {@link Reason#INACCESSIBLE}.
 */
public final class DynamoDbKeysetStore implements WatchableKeysetStore {
  /** Longest document, in characters: what an item holds beside name and revision, rounded. */
  public static final int MAX_DOCUMENT_CHARS = 400_000;

  /** Fewest changes kept; a reader further behind is told to read everything. */
  private static final int KEPT_CHANGES = 10_000;

  private final KeysetTable table;
  private final WriteSignal signal = WriteSignal.create();
  private final OrderedWrites writes;
  private volatile boolean closed;

  private DynamoDbKeysetStore(KeysetTable table, int keptChanges) {
    this.table = table;
    this.writes = new OrderedWrites(table, keptChanges, signal);
  }

  /**
   * Opens the store, after a look at its table.
   *
   * @param client stays the caller's, who closes it after this
   * @param table the name of the table, or its ARN
   * @throws KeysetStoreException if the table is missing or may not be used ({@code INACCESSIBLE}:
   *     create it, or check account, region and policy) or DynamoDB does not answer
   */
  public static DynamoDbKeysetStore open(DynamoDbClient client, String table) {
    return open(client, table, KEPT_CHANGES);
  }

  static DynamoDbKeysetStore open(DynamoDbClient client, String table, int keptChanges) {
    DynamoDbKeysetStore store = new DynamoDbKeysetStore(tableOf(client, table), keptChanges);
    store.position();
    return store;
  }

  /**
   * Creates the table, which {@link #open} never does, and waits until it can be used: with string
   * keys {@code pk} and {@code sk}, billed by request, protected from deletion. Once, by somebody
   * who may create tables.
   *
   * @throws KeysetStoreException if it exists (nothing is changed), the right is missing, or
   *     DynamoDB does not answer
   */
  public static void createTable(DynamoDbClient client, String table) {
    KeysetTable created = tableOf(client, table);
    try {
      try {
        created.create();
      } catch (ResourceInUseException e) {
        if (AwsErrors.isOnlyAttempt(e)) {
          throw e;
        }
        // An earlier attempt of the SDK, whose answer was lost, has created it, or somebody else in
        // that moment.
      }
      created.awaitCreation();
    } catch (SdkException e) {
      throw DynamoDbErrors.translated("table " + created + " cannot be created", e);
    }
  }

  private static KeysetTable tableOf(DynamoDbClient client, String table) {
    return new KeysetTable(
        Objects.requireNonNull(client, "client"), Objects.requireNonNull(table, "table"));
  }

  @Override
  public Optional<StoredKeyset> load(KeysetId id) {
    Objects.requireNonNull(id, "keyset id");
    return read(
        "keyset " + id + " cannot be read",
        () -> table.read(KeysetItems.keyOf(id)).map(item -> KeysetItems.keysetIn(item, id)));
  }

  @Override
  public void create(StoredKeyset first) {
    Objects.requireNonNull(first, "keyset").requireFirst();
    requireOpen();
    requireFits(first);
    writes.create(first);
  }

  @Override
  public void replace(StoredKeyset next) {
    Objects.requireNonNull(next, "keyset").requireNotFirst();
    requireOpen();
    requireFits(next);
    writes.replace(next);
  }

  @Override
  public List<KeysetId> list(int limit) {
    return names("", limit);
  }

  @Override
  public List<KeysetId> listAfter(KeysetId after, int limit) {
    return names(Objects.requireNonNull(after, "keyset id").value(), limit);
  }

  @Override
  public Position position() {
    return read(cannotReadChanges(), () -> table.lastChange().position());
  }

  @Override
  public Changes changesAfter(Position since) {
    Change asked = Change.at(Objects.requireNonNull(since, "position"));
    return read(
        cannotReadChanges(),
        () -> {
          // From the very change that was asked for: it must still be there.
          List<Change> found = asked == null ? List.of() : table.changesFrom(asked.number());
          return asked == null || (found.isEmpty() && asked.number() > 0)
              ? new Changes(table.lastChange().position(), false, Set.of())
              : changes(asked, found);
        });
  }

  private static Changes changes(Change asked, List<Change> found) {
    Set<KeysetId> written = new LinkedHashSet<>();
    boolean complete = true;
    Change last = asked.number() == 0 ? asked : null; // the beginning is no entry
    for (Change change : found) {
      if (last == null) {
        complete = change.isSameAs(asked);
      } else {
        complete &= change.number() == last.number() + 1 && change.written() != null;
        if (change.written() != null) {
          written.add(change.written());
        }
      }
      last = change;
    }
    return new Changes(Objects.requireNonNull(last).position(), complete, written);
  }

  /** {@link #MAX_DOCUMENT_CHARS}. */
  @Override
  public int maxDocumentChars() {
    return MAX_DOCUMENT_CHARS;
  }

  /** Waits for the timeout, or for a write by this object: DynamoDB tells of no others. */
  @Override
  public void awaitWrite(Duration timeout) throws InterruptedException {
    requireOpen();
    signal.await(timeout);
    requireOpen();
  }

  /**
   * Ends waits; calls under way finish, as long as the client is open, which stays so: close it
   * when they have.
   */
  @Override
  public void close() {
    closed = true;
    signal.close();
  }

  private static void requireFits(StoredKeyset next) {
    if (next.document().length() > MAX_DOCUMENT_CHARS) {
      throw new KeysetStoreException(
          Reason.INACCESSIBLE,
          String.format(
              "keyset %s revision %d has %d characters, and an item of DynamoDB holds %d; destroy"
                  + " key versions that nothing needs, or use another store",
              next.id(), next.revision(), next.document().length(), MAX_DOCUMENT_CHARS),
          null);
    }
  }

  private List<KeysetId> names(String after, int limit) {
    if (limit < 1) {
      throw new IllegalArgumentException("list limit must be at least 1, got " + limit);
    }
    List<String> names =
        read("keysets of " + table + " cannot be listed", () -> table.namesAfter(after, limit));
    for (String name : names) {
      if (!KeysetId.isValid(name)) {
        throw new KeysetStoreException(
            Reason.INACCESSIBLE, table + " lists a keyset whose name no keyset can have", null);
      }
    }
    return names.stream().map(KeysetId::of).toList();
  }

  private <T> T read(String problem, Supplier<T> request) {
    requireOpen();
    return table.reading(problem, request);
  }

  private String cannotReadChanges() {
    return "changes of " + table + " cannot be read";
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException("keyset store is closed");
    }
  }
}
