package dev.sealwax.kms.keyset;

import dev.sealwax.kms.store.KeysetStore;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import org.jspecify.annotations.Nullable;

/**
 * The names in a store, fetched a page at a time and no earlier than needed. Used by one thread.
 */
final class KeysetNames implements Iterator<KeysetId> {
  private final KeysetStore store;
  private final int pageSize;
  private @Nullable List<KeysetId> page;
  private int next;

  KeysetNames(KeysetStore store, int pageSize) {
    this.store = store;
    this.pageSize = pageSize;
  }

  @Override
  public boolean hasNext() {
    List<KeysetId> names = page;
    if (names == null) {
      names = store.list(pageSize);
    } else if (next == names.size() && names.size() == pageSize) {
      names = store.listAfter(names.get(pageSize - 1), pageSize);
      next = 0;
    }
    page = names;
    return next < names.size();
  }

  @Override
  public KeysetId next() {
    if (!hasNext() || page == null) {
      throw new NoSuchElementException("no more keysets");
    }
    return page.get(next++);
  }
}
