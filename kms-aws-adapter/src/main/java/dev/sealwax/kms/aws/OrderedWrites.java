package dev.sealwax.kms.aws;

import dev.sealwax.kms.aws.KeysetItems.Change;
import dev.sealwax.kms.store.StoredKeyset;
import dev.sealwax.kms.store.WriteSignal;
import dev.sealwax.kms.vocabulary.KeysetConflictException;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import dev.sealwax.kms.vocabulary.KeysetStoreException.Reason;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.services.dynamodb.model.AttributeValue;
import software.amazon.awssdk.services.dynamodb.model.TransactWriteItem;
import software.amazon.awssdk.services.dynamodb.model.TransactionCanceledException;

/**
 * The writes of a store: each takes the place behind the last change, in one transaction with what
 * it writes, or finds out that another has it and takes the next. Whether a write took effect whose
 * answer was lost is told by the change in its place. Now and then one deletes old changes. Safe
 * for any thread.
 */
final class OrderedWrites {
  private static final int PRUNED_EVERY = 100;

  /** The name that operators know; this class is nobody's but the store's. */
  private static final Logger LOG = LoggerFactory.getLogger(DynamoDbKeysetStore.class);

  private final KeysetTable table;
  private final int keptChanges;
  private final WriteSignal signal;
  private final AtomicBoolean warned = new AtomicBoolean();

  /**
   * For one store.
   *
   * @param keptChanges the fewest that are left when old ones are deleted
   * @param signal the store's, which is told of every write that took effect, or may have
   */
  OrderedWrites(KeysetTable table, int keptChanges, WriteSignal signal) {
    this.table = table;
    this.keptChanges = keptChanges;
    this.signal = signal;
  }

  /**
   * Writes a keyset and its name, if there is none of that name.
   *
   * @throws KeysetConflictException if there is
   * @throws KeysetStoreException if it cannot be written, or whether it was is unknown
   */
  void create(StoredKeyset first) {
    write(
        first,
        List.of(
            table.putIfAbsent(KeysetItems.itemOf(first)),
            table.put(KeysetItems.nameOf(first.id()))));
  }

  /**
   * Writes a keyset, if the stored revision is the one before it.
   *
   * @throws KeysetConflictException if it is another
   * @throws KeysetStoreException if it cannot be written, or whether it was is unknown
   */
  void replace(StoredKeyset next) {
    write(next, List.of(table.putIfRevision(KeysetItems.itemOf(next), next.revision() - 1)));
  }

  private void write(StoredKeyset next, List<TransactWriteItem> items) {
    String subject = "keyset " + next.id() + " revision " + next.revision() + ": ";
    long started = System.nanoTime();
    Set<Change> unknown = new HashSet<>(); // may take effect yet, or has since it was looked for
    try {
      writeInTurn(next, items, subject, started, unknown);
    } catch (KeysetStoreException e) {
      if (unknown.isEmpty() || e.reason() != Reason.INACCESSIBLE) {
        throw e;
      }
      throw new KeysetStoreException(
          Reason.UNAVAILABLE,
          subject + "load it again to see whether an earlier attempt took effect",
          e);
    }
  }

  private void writeInTurn(
      StoredKeyset next,
      List<TransactWriteItem> items,
      String subject,
      long started,
      Set<Change> unknown) {
    for (int attempt = 1; ; attempt++) {
      Change change = changeAfterTheLast(next, subject + outcome(unknown));
      List<TransactWriteItem> all = new ArrayList<>(items);
      all.add(table.putIfAbsent(change.item()));
      try {
        table.write(all);
        written(change);
        return;
      } catch (TransactionCanceledException e) {
        if (!AwsErrors.isOnlyAttempt(e)) {
          unknown.add(change); // one attempt was refused, perhaps because of another one
        }
        Change own = anyThatTookEffect(unknown, subject);
        if (own != null) {
          written(own);
          return;
        }
        if (DynamoDbErrors.isRefused(e, 0)) {
          throw notTheTurnOf(next, e.cancellationReasons().get(0).item());
        }
        if (!DynamoDbErrors.isBusy(e)) {
          if (AwsErrors.isOnlyAttempt(e)) {
            throw DynamoDbErrors.cancelled(subject + outcome(unknown), e);
          }
          if (tookEffect(change, subject, e)) {
            written(change);
            return;
          }
        }
      } catch (SdkException e) {
        if (AwsErrors.isUnsent(e)
            || (AwsErrors.isOnlyAttempt(e)
                && AwsErrors.isRefusal(e)
                && !DynamoDbErrors.isInProgress(e))) {
          throw DynamoDbErrors.translated(subject + outcome(unknown), e);
        }
        if (tookEffect(change, subject, e)) {
          written(change);
          return;
        }
      }
      if (!table.mayTryAgain(attempt, started)) {
        throw new KeysetStoreException(
            Reason.UNAVAILABLE,
            subject + outcome(unknown) + ", others write to " + table + " all the time",
            null);
      }
    }
  }

  private static String outcome(Set<Change> unknown) {
    return unknown.isEmpty() ? "nothing was written" : "load it again";
  }

  /** The place of the next write in the order. */
  private Change changeAfterTheLast(StoredKeyset next, String problem) {
    Change last = table.reading(problem, table::lastChange);
    if (!last.hasNext()) {
      throw new KeysetStoreException(
          Reason.INACCESSIBLE,
          problem
              + ", change "
              + Change.sortKey(last.number())
              + " in "
              + table
              + " leaves no number for the next; no store has made it, delete it",
          null);
    }
    return last.next(next.id());
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

  /** Which of these writes took effect, if one did: what refused another may have been itself. */
  private @Nullable Change anyThatTookEffect(Set<Change> unknown, String subject) {
    for (Change change : unknown) {
      Optional<Change> found = table.reading(subject + "load it again", () -> table.change(change));
      if (found.filter(change::isSameAs).isPresent()) {
        return change;
      }
    }
    return null;
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
}
