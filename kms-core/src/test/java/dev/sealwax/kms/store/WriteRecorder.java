package dev.sealwax.kms.store;

import dev.sealwax.kms.vocabulary.KeysetConflictException;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;

/** A store that remembers what each thread was the last to write, and counts lost races. */
final class WriteRecorder implements WatchableKeysetStore {
  private final WatchableKeysetStore store;
  private final Map<Thread, StoredKeyset> written = new ConcurrentHashMap<>();
  private final AtomicLong conflicts = new AtomicLong();

  WriteRecorder(WatchableKeysetStore store) {
    this.store = store;
  }

  /** What this thread has written since it was asked last. */
  Optional<StoredKeyset> takeWritten() {
    return Optional.ofNullable(written.remove(Thread.currentThread()));
  }

  long conflicts() {
    return conflicts.get();
  }

  @Override
  public void replace(StoredKeyset next) {
    try {
      store.replace(next);
    } catch (KeysetConflictException e) {
      conflicts.incrementAndGet();
      throw e;
    }
    written.put(Thread.currentThread(), next);
  }

  @Override
  public void create(StoredKeyset first) {
    store.create(first);
  }

  @Override
  public Optional<StoredKeyset> load(KeysetId id) {
    return store.load(id);
  }

  @Override
  public List<KeysetId> list(int limit) {
    return store.list(limit);
  }

  @Override
  public List<KeysetId> listAfter(KeysetId after, int limit) {
    return store.listAfter(after, limit);
  }

  @Override
  public Position position() {
    return store.position();
  }

  @Override
  public Changes changesAfter(Position since) {
    return store.changesAfter(since);
  }

  @Override
  public void awaitWrite(Duration timeout) throws InterruptedException {
    store.awaitWrite(timeout);
  }

  @Override
  public void close() {
    store.close();
  }
}
