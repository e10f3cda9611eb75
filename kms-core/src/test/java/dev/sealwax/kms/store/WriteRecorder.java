package dev.sealwax.kms.store;

import dev.sealwax.kms.testkit.ForwardingKeysetStore;
import dev.sealwax.kms.vocabulary.KeysetConflictException;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;

/** A store that remembers what each thread was the last to write, and counts lost races. */
final class WriteRecorder extends ForwardingKeysetStore implements WatchableKeysetStore {
  private final WatchableKeysetStore store;
  private final Map<Thread, StoredKeyset> written = new ConcurrentHashMap<>();
  private final AtomicLong conflicts = new AtomicLong();

  WriteRecorder(WatchableKeysetStore store) {
    super(store);
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
      super.replace(next);
    } catch (KeysetConflictException e) {
      conflicts.incrementAndGet();
      throw e;
    }
    written.put(Thread.currentThread(), next);
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
}
