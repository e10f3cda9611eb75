package dev.sealwax.kms.store;

import dev.sealwax.kms.vocabulary.KeysetConflictException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import dev.sealwax.kms.vocabulary.KeysetStoreException.Reason;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.ConcurrentNavigableMap;
import java.util.concurrent.ConcurrentSkipListMap;

/**
 * A keyset store that lives and dies with the process, for tests and for keys that must not outlive
 * it.
 *
 * <p>Safe for concurrent use by threads. Nothing is durable: data encrypted under its keysets is
 * lost with the process.
 */
public final class InMemoryKeysetStore implements KeysetStore {
  private final ConcurrentNavigableMap<KeysetId, StoredKeyset> keysets =
      new ConcurrentSkipListMap<>();
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
    first.requireFirst();
    requireOpen();
    StoredKeyset present = keysets.putIfAbsent(first.id(), first);
    if (present != null) {
      throw new KeysetConflictException(
          first.id(), "it exists already, at revision " + present.revision());
    }
  }

  @Override
  public void replace(StoredKeyset next) {
    next.requireNotFirst();
    requireOpen();
    StoredKeyset present = keysets.get(next.id());
    if (present == null) {
      throw new KeysetStoreException(Reason.NOT_FOUND, "there is no keyset " + next.id(), null);
    }
    if (present.revision() != next.revision() - 1 || !keysets.replace(next.id(), present, next)) {
      throw new KeysetConflictException(
          next.id(), "revision " + next.revision() + " does not follow the stored one");
    }
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

  /** Forgets every keyset. */
  @Override
  public void close() {
    closed = true;
    keysets.clear();
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
