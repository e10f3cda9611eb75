package dev.sealwax.kms.aws;

import dev.sealwax.kms.aws.KeysetItems.Change;
import dev.sealwax.kms.store.StoredKeyset;
import dev.sealwax.kms.store.WatchableKeysetStore;
import dev.sealwax.kms.store.WriteSignal;
import dev.sealwax.kms.vocabulary.KeysetConflictException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import dev.sealwax.kms.vocabulary.KeysetStoreException.Reason;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.services.dynamodb.DynamoDbClient;
import software.amazon.awssdk.services.dynamodb.model.AttributeValue;
import software.amazon.awssdk.services.dynamodb.model.ResourceInUseException;
import software.amazon.awssdk.services.dynamodb.model.TransactWriteItem;
import software.amazon.awssdk.services.dynamodb.model.TransactionCanceledException;

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
 * <p><b>Size.</b> An item of DynamoDB holds 400 KB. A document of more than {@link
 * #MAX_DOCUMENT_CHARS} characters, some hundreds of key versions, is refused with {@link
 * Reason#INACCESSIBLE}.
 */
public final class DynamoDbKeysetStore implements WatchableKeysetStore {
  /** Longest document, in characters: what an item holds beside name and revision, rounded. */
  public static final int MAX_DOCUMENT_CHARS = 400_000;

  /** Fewest changes kept; a reader further behind is told to read everything. */
  private static final int KEPT_CHANGES = 10_000;

  private static final int PRUNED_EVERY = 100;
  private static final int PAUSE_MILLIS = 10;
  private static final int MAX_PAUSE_MILLIS = 200;

  private static final Logger LOG = LoggerFactory.getLogger(DynamoDbKeysetStore.class);

  private final KeysetTable table;
  private final int keptChanges;
  private final AtomicBoolean warned = new AtomicBoolean();
  private final WriteSignal signal = WriteSignal.create();
  private volatile boolean closed;

  private DynamoDbKeysetStore(KeysetTable table, int keptChanges) {
    this.table = table;
    this.keptChanges = keptChanges;
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
        if (isOnlyAttempt(e)) {
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
    write(
        first,
        List.of(
            table.putIfAbsent(KeysetItems.itemOf(first)),
            table.put(KeysetItems.nameOf(first.id()))));
  }

  @Override
  public void replace(StoredKeyset next) {
    Objects.requireNonNull(next, "keyset").requireNotFirst();
    write(next, List.of(table.putIfRevision(KeysetItems.itemOf(next), next.revision() - 1)));
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

  /** Waits for the timeout, or for a write by this object: DynamoDB tells of no others. */
  @Override
  public void awaitWrite(Duration timeout) throws InterruptedException {
    requireOpen();
    signal.await(timeout);
    requireOpen();
  }

  /** Ends waits; calls under way finish. The client stays open. */
  @Override
  public void close() {
    closed = true;
    signal.close();
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
    return reading(problem, request);
  }

  /** Reads, again while a transaction that is under way keeps it from reading. */
  private <T> T reading(String problem, Supplier<T> request) {
    long started = System.nanoTime();
    for (int attempt = 1; ; attempt++) {
      try {
        return request.get();
      } catch (TransactionCanceledException e) {
        if (!isBusy(e) || !mayTryAgain(attempt, started)) {
          throw cancelled(problem, e);
        }
      } catch (SdkException e) {
        throw DynamoDbErrors.translated(problem, e);
      }
    }
  }

  private void write(StoredKeyset next, List<TransactWriteItem> items) {
    requireOpen();
    requireFits(next);
    String subject = "keyset " + next.id() + " revision " + next.revision() + ": ";
    long started = System.nanoTime();
    Set<Change> unknown = new HashSet<>(); // may take effect yet, or has since it was looked for
    for (int attempt = 1; ; attempt++) {
      Change change = changeAfterTheLast(next, subject);
      List<TransactWriteItem> all = new ArrayList<>(items);
      all.add(table.putIfAbsent(change.item()));
      try {
        table.write(all);
        written(change);
        return;
      } catch (TransactionCanceledException e) {
        if (!isOnlyAttempt(e)) {
          unknown.add(change); // one attempt was refused, perhaps because of another one
        }
        Change own = anyThatTookEffect(unknown, subject);
        if (own != null) {
          written(own);
          return;
        }
        if (isRefused(e, 0)) {
          throw notTheTurnOf(next, e.cancellationReasons().get(0).item());
        }
        if (!isBusy(e)) {
          if (isOnlyAttempt(e)) {
            throw cancelled(subject + "nothing was written", e);
          }
          if (tookEffect(change, subject, e)) {
            written(change);
            return;
          }
        }
      } catch (SdkException e) {
        if (AwsErrors.isUnsent(e)
            || (isOnlyAttempt(e) && AwsErrors.isRefusal(e) && !isInProgress(e))) {
          throw DynamoDbErrors.translated(subject + "nothing was written", e);
        }
        if (tookEffect(change, subject, e)) {
          written(change);
          return;
        }
      }
      if (!mayTryAgain(attempt, started)) {
        throw new KeysetStoreException(
            Reason.UNAVAILABLE,
            subject
                + (unknown.isEmpty() ? "nothing was written" : "load it again")
                + ", others write to "
                + table
                + " all the time",
            null);
      }
    }
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

  /**
   * Whether a write whose answer was lost took effect. If another has its place in the order, it
   * did not and never will.
   */
  private boolean tookEffect(Change change, String subject, SdkException lost) {
    AwsErrors.keepInterrupt(lost);
    Optional<Change> found;
    try {
      found = table.change(change);
    } catch (SdkException e) {
      AwsErrors.keepInterrupt(e);
      found = Optional.empty();
    }
    if (found.isEmpty()) {
      signal.signal(); // who waits looks, and sees which of the two it is
      throw new KeysetStoreException(
          Reason.UNAVAILABLE,
          subject
              + "load it again to see whether the write took effect, the answer was lost: "
              + AwsErrors.describe(lost),
          AwsErrors.quotingNothing(lost));
    }
    return found.get().isSameAs(change);
  }

  private void written(Change change) {
    signal.signal();
    if (change.number() % PRUNED_EVERY == 0) {
      try {
        table.delete(table.changesBefore(change.number() - keptChanges, 2 * PRUNED_EVERY));
      } catch (SdkException e) {
        AwsErrors.keepInterrupt(e); // they are deleted next time
        warnOfRefusal(e);
      }
    }
  }

  /** What is refused once will be: the changes pile up, and no write ever fails by that. */
  private void warnOfRefusal(SdkException e) {
    if (AwsErrors.isRefusal(e)
        && DynamoDbErrors.reasonOf(e) == Reason.INACCESSIBLE
        && !warned.getAndSet(true)) {
      LOG.warn(
          "old changes in {} cannot be deleted and pile up, allow dynamodb:BatchWriteItem and"
              + " dynamodb:DeleteItem to who changes keysets; this is said once: {}{}",
          table,
          AwsErrors.describe(e),
          AwsErrors.denialOf(e));
    }
  }

  /** The place of the next write in the order. */
  private Change changeAfterTheLast(StoredKeyset next, String subject) {
    Change last = reading(subject + "nothing was written", table::lastChange);
    if (!last.hasNext()) {
      throw new KeysetStoreException(
          Reason.INACCESSIBLE,
          subject
              + "nothing was written, change "
              + Change.sortKey(last.number())
              + " in "
              + table
              + " leaves no number for the next; no store has made it, delete it",
          null);
    }
    return last.next(next.id());
  }

  /** Which of these writes took effect, if one did: what refused another may have been itself. */
  private @Nullable Change anyThatTookEffect(Set<Change> unknown, String subject) {
    for (Change change : unknown) {
      Optional<Change> found = reading(subject + "load it again", () -> table.change(change));
      if (found.filter(change::isSameAs).isPresent()) {
        return change;
      }
    }
    return null;
  }

  /** Whether the answer is that of the only attempt; of an earlier one it says nothing. */
  private static boolean isOnlyAttempt(SdkException e) {
    Integer attempts = e.numAttempts();
    return attempts != null && attempts == 1;
  }

  private RuntimeException notTheTurnOf(
      StoredKeyset next, @Nullable Map<String, AttributeValue> stored) {
    if (next.revision() == 1 && (stored == null || stored.isEmpty())) {
      return new KeysetConflictException(next.id(), "the name is taken");
    }
    if (stored == null || stored.isEmpty()) {
      return new KeysetStoreException(
          Reason.NOT_FOUND, "there is no keyset " + next.id() + " in " + table, null);
    }
    long revision = KeysetItems.keysetIn(stored, next.id()).revision();
    return new KeysetConflictException(
        next.id(),
        next.revision() == 1
            ? "the name is taken, at revision " + revision
            : "another writer was faster, stored is revision "
                + revision
                + ", which "
                + next.revision()
                + " does not follow");
  }

  /** Whether a condition of one of the items was not met. */
  private static boolean isRefused(TransactionCanceledException e, int item) {
    return e.cancellationReasons().size() > item
        && "ConditionalCheckFailed".equals(e.cancellationReasons().get(item).code());
  }

  /** Whether all that stood in the way was another transaction. */
  private static boolean isBusy(TransactionCanceledException e) {
    return e.cancellationReasons().stream()
            .map(reason -> String.valueOf(reason.code()))
            .allMatch(
                Set.of("None", "null", "ConditionalCheckFailed", "TransactionConflict")::contains)
        && e.cancellationReasons().stream()
            .anyMatch(reason -> reason.code() != null && !reason.code().equals("None"));
  }

  private static boolean isInProgress(SdkException e) {
    return e
        instanceof software.amazon.awssdk.services.dynamodb.model.TransactionInProgressException;
  }

  private static KeysetStoreException cancelled(String problem, TransactionCanceledException e) {
    List<String> codes =
        e.cancellationReasons().stream()
            .map(reason -> String.valueOf(reason.code()))
            .filter(code -> !code.equals("None") && !code.equals("null"))
            .toList();
    boolean temporary = codes.stream().allMatch(DynamoDbErrors::isTemporary);
    return new KeysetStoreException(
        temporary ? Reason.UNAVAILABLE : Reason.INACCESSIBLE,
        problem + ": the transaction was cancelled, " + codes,
        null);
  }

  /** Lets others go first; false if the thread is to stop, or a call may take no longer. */
  private boolean mayTryAgain(int attempt, long started) {
    if (System.nanoTime() - started > table.limit().duration().toNanos()) {
      return false;
    }
    try {
      int most = Math.min(attempt * PAUSE_MILLIS, MAX_PAUSE_MILLIS);
      Thread.sleep(ThreadLocalRandom.current().nextInt(most) + 1L);
      return true;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
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
