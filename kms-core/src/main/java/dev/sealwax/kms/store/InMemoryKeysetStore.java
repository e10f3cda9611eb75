package dev.sealwax.kms.store;

import dev.sealwax.kms.vocabulary.KeysetConflictException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import dev.sealwax.kms.vocabulary.KeysetStoreException.Reason;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.ConcurrentNavigableMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.locks.ReentrantLock;

/**
 * A keyset store that lives and dies with the process, for tests and for keys that must not outlive
 * it.
 *
 * <p>Safe for concurrent use by threads. Nothing is durable: data encrypted under its keysets is
 * lost with the process.
 */
public final class InMemoryKeysetStore implements WatchableKeysetStore {
  private final ConcurrentNavigableMap<KeysetId, StoredKeyset> keysets =
      new ConcurrentSkipListMap<>();
  private final WriteSignal signal = WriteSignal.create();
  private final String incarnation = UUID.randomUUID().toString();
  private final ReentrantLock lock = new ReentrantLock(); // held by writers, and to read changes
  private final TreeMap<Long, KeysetId> latestChanges = new TreeMap<>(); // of each keyset one
  private final Map<KeysetId, Long> changeOf = new HashMap<>();
  private long changes;
  private volatile boolean closed;

  private InMemoryKeysetStore() {}

  /** Builds an empty store. */
  public static InMemoryKeysetStore create() {
    return new InMemoryKeysetStore();
  }

  @Override
  public Optional<StoredKeyset> load(KeysetId id) {
    Objects.requireNonNull(id, "keyset id");
    requireOpen();
    return Optional.ofNullable(keysets.get(id));
  }

  @Override
  public void create(StoredKeyset first) {
    Objects.requireNonNull(first, "keyset").requireFirst();
    requireOpen();
    lock.lock();
    try {
      StoredKeyset present = keysets.putIfAbsent(first.id(), first);
      if (present != null) {
        throw new KeysetConflictException(
            first.id(), "the name is taken, at revision " + present.revision());
      }
      recordChange(first.id());
    } finally {
      lock.unlock();
    }
    signal.signal();
  }

  @Override
  public void replace(StoredKeyset next) {
    Objects.requireNonNull(next, "keyset").requireNotFirst();
    requireOpen();
    lock.lock();
    try {
      StoredKeyset present = keysets.get(next.id());
      if (present == null) {
        throw new KeysetStoreException(Reason.NOT_FOUND, "there is no keyset " + next.id(), null);
      }
      if (present.revision() != next.revision() - 1) {
        throw new KeysetConflictException(
            next.id(),
            "another writer was faster, stored is revision "
                + present.revision()
                + ", which "
                + next.revision()
                + " does not follow");
      }
      keysets.put(next.id(), next);
      recordChange(next.id());
    } finally {
      lock.unlock();
    }
    signal.signal();
  }

  @Override
  public List<KeysetId> list(int limit) {
    return page(keysets, limit);
  }

  @Override
  public List<KeysetId> listAfter(KeysetId after, int limit) {
    Objects.requireNonNull(after, "keyset id");
    return page(keysets.tailMap(after, false), limit);
  }

  @Override
  public Position position() {
    requireOpen();
    lock.lock();
    try {
      return positionAt(changes);
    } finally {
      lock.unlock();
    }
  }

  @Override
  public Changes changesAfter(Position since) {
    Objects.requireNonNull(since, "position");
    requireOpen();
    lock.lock();
    try {
      long asked = numberOf(since);
      boolean complete = asked >= 0 && asked <= changes;
      Set<KeysetId> written =
          complete ? Set.copyOf(latestChanges.tailMap(asked, false).values()) : Set.of();
      return new Changes(positionAt(changes), complete, written);
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void awaitWrite(Duration timeout) throws InterruptedException {
    requireOpen();
    signal.await(Objects.requireNonNull(timeout, "timeout"));
    requireOpen();
  }

  /** Forgets every keyset and ends waits. */
  @Override
  public void close() {
    closed = true;
    signal.close();
    keysets.clear();
  }

  private void recordChange(KeysetId written) {
    changes++;
    Long before = changeOf.put(written, changes);
    if (before != null) {
      latestChanges.remove(before);
    }
    latestChanges.put(changes, written);
  }

  private Position positionAt(long number) {
    return new Position(incarnation + ":" + number);
  }

  /** The number in a position of this store, or -1. */
  private long numberOf(Position position) {
    String prefix = incarnation + ":";
    if (!position.value().startsWith(prefix)) {
      return -1;
    }
    try {
      return Long.parseLong(position.value().substring(prefix.length()));
    } catch (NumberFormatException e) {
      return -1;
    }
  }

  private List<KeysetId> page(ConcurrentNavigableMap<KeysetId, StoredKeyset> from, int limit) {
    if (limit < 1) {
      throw new IllegalArgumentException("list limit must be at least 1, got " + limit);
    }
    requireOpen();
    return from.keySet().stream().limit(limit).toList();
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException("keyset store is closed");
    }
  }
}
