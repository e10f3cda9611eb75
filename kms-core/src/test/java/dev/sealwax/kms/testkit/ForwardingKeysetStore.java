package dev.sealwax.kms.testkit;

import dev.sealwax.kms.store.KeysetStore;
import dev.sealwax.kms.store.StoredKeyset;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.util.List;
import java.util.Objects;
import java.util.Optional;

/**
 * A store that passes every call on to another one, which it owns and closes. For tests: override
 * what should be counted, delayed, or fail.
 */
public abstract class ForwardingKeysetStore implements KeysetStore {
  private final KeysetStore target;

  protected ForwardingKeysetStore(KeysetStore target) {
    this.target = Objects.requireNonNull(target, "target");
  }

  @Override
  public Optional<StoredKeyset> load(KeysetId id) {
    return target.load(id);
  }

  @Override
  public void create(StoredKeyset first) {
    target.create(first);
  }

  @Override
  public void replace(StoredKeyset next) {
    target.replace(next);
  }

  @Override
  public List<KeysetId> list(int limit) {
    return target.list(limit);
  }

  @Override
  public List<KeysetId> listAfter(KeysetId after, int limit) {
    return target.listAfter(after, limit);
  }

  @Override
  public int maxDocumentChars() {
    return target.maxDocumentChars();
  }

  @Override
  public void close() {
    target.close();
  }
}
