package dev.sealwax.kms.keyset;

import dev.sealwax.kms.store.KeysetStore;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import org.jspecify.annotations.Nullable;

/**
 * The names in a store, fetched a page at a time and no earlier than needed. Used by one thread.
 *
 * <p>Pages grow: whoever wants the first few names does not pay for many, and whoever wants all
 * does not make a store go over all of them for every few, as one without an index must.
 */
final class KeysetNames implements Iterator<KeysetId> {
  private static final int FIRST_PAGE = 256;

  /** Names have at most 64 characters, so that this is about a megabyte. */
  private static final int LAST_PAGE = 16_384;

  private static final int GROWTH = 4;

  private final KeysetStore store;
  private int pageSize = FIRST_PAGE;
  private @Nullable List<KeysetId> page;
  private int next;

  KeysetNames(KeysetStore store) {
    this.store = store;
  }

  @Override
  public boolean hasNext() {
    List<KeysetId> names = page;
    if (names == null) {
      names = store.list(pageSize);
    } else if (next == names.size() && names.size() == pageSize) {
      KeysetId last = names.get(pageSize - 1);
      pageSize = Math.min(pageSize * GROWTH, LAST_PAGE);
      names = store.listAfter(last, pageSize);
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
