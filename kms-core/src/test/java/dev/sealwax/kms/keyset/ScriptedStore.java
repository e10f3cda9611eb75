package dev.sealwax.kms.keyset;

import dev.sealwax.kms.store.KeysetStore;
import dev.sealwax.kms.store.StoredKeyset;
import dev.sealwax.kms.vocabulary.KeysetConflictException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.UnaryOperator;

/**
 * A store in a map that counts its calls and does what a test tells it to do before and after them.
 */
final class ScriptedStore implements KeysetStore {
  final AtomicInteger loads = new AtomicInteger();
  final AtomicInteger lists = new AtomicInteger();
  volatile Runnable beforeList = () -> {};
  volatile Runnable beforeLoad = () -> {};
  volatile Runnable afterLoad = () -> {};
  volatile Runnable beforeWrite = () -> {};
  volatile Runnable afterWrite = () -> {};
  volatile int maxDocumentChars = StoredKeyset.MAX_DOCUMENT_CHARS;
  private final ConcurrentSkipListMap<KeysetId, StoredKeyset> map = new ConcurrentSkipListMap<>();

  static KeysetStoreException unavailable() {
    return new KeysetStoreException(KeysetStoreException.Reason.UNAVAILABLE, "scripted", null);
  }

  static void fail() {
    throw unavailable();
  }

  /** For a step of a script that is taken the first time only: what it does may call the store. */
  static Runnable once(Runnable step) {
    AtomicBoolean taken = new AtomicBoolean();
    return () -> {
      if (!taken.getAndSet(true)) {
        step.run();
      }
    };
  }

  StoredKeyset stored(String name) {
    return map.get(KeysetId.of(name));
  }

  /** Overwrites what is stored, as somebody with access to the store could. */
  void plant(StoredKeyset forged) {
    map.put(forged.id(), forged);
  }

  void forget(String name) {
    map.remove(KeysetId.of(name));
  }

  /** Edits the text of a document. */
  void edit(String name, UnaryOperator<String> edit) {
    StoredKeyset old = stored(name);
    String document = edit.apply(old.document());
    if (document.equals(old.document())) {
      throw new AssertionError("the edit changes nothing in " + document);
    }
    plant(new StoredKeyset(old.id(), old.revision(), document));
  }

  @Override
  public Optional<StoredKeyset> load(KeysetId id) {
    loads.incrementAndGet();
    beforeLoad.run();
    Optional<StoredKeyset> found = Optional.ofNullable(map.get(id));
    afterLoad.run();
    return found;
  }

  @Override
  public void create(StoredKeyset first) {
    beforeWrite.run();
    if (map.putIfAbsent(first.id(), first) != null) {
      throw new KeysetConflictException(first.id(), "exists");
    }
    afterWrite.run();
  }

  @Override
  public void replace(StoredKeyset next) {
    beforeWrite.run();
    map.compute(
        next.id(),
        (id, old) -> {
          if (old == null || old.revision() != next.revision() - 1) {
            throw new KeysetConflictException(id, "stored revision is another");
          }
          return next;
        });
    afterWrite.run();
  }

  @Override
  public List<KeysetId> list(int limit) {
    lists.incrementAndGet();
    beforeList.run();
    return map.keySet().stream().limit(limit).toList();
  }

  @Override
  public List<KeysetId> listAfter(KeysetId after, int limit) {
    lists.incrementAndGet();
    beforeList.run();
    return map.tailMap(after, false).keySet().stream().limit(limit).toList();
  }

  @Override
  public int maxDocumentChars() {
    return maxDocumentChars;
  }

  @Override
  public void close() {}
}
