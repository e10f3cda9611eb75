package dev.sealwax.kms.keyset;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.store.KeysetStore;
import dev.sealwax.kms.store.StoredKeyset;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.util.ArrayList;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

final class KeysetNamesTest {
  /** Has that many names and no keysets; keeps the size of each page asked for. */
  private static final class Names implements KeysetStore {
    private final List<KeysetId> names;
    private final List<Integer> pages = new ArrayList<>();

    Names(int count) {
      this.names =
          IntStream.range(0, count)
              .mapToObj(i -> KeysetId.of(String.format("tenant-%06d", i)))
              .toList();
    }

    @Override
    public List<KeysetId> list(int limit) {
      pages.add(limit);
      return names.subList(0, Math.min(limit, names.size()));
    }

    @Override
    public List<KeysetId> listAfter(KeysetId after, int limit) {
      pages.add(limit);
      int from = names.indexOf(after) + 1;
      return names.subList(from, Math.min(from + limit, names.size()));
    }

    @Override
    public Optional<StoredKeyset> load(KeysetId id) {
      throw new AssertionError("nothing is read to list names");
    }

    @Override
    public void create(StoredKeyset first) {
      throw new AssertionError("nothing is written to list names");
    }

    @Override
    public void replace(StoredKeyset next) {
      throw new AssertionError("nothing is written to list names");
    }

    @Override
    public void close() {}
  }

  @Test
  void allNames_inOrder_whateverTheirNumber() {
    for (int count : new int[] {0, 1, 255, 256, 257, 1279, 1280, 1281, 5376, 60_000}) {
      Names store = new Names(count);
      List<KeysetId> listed = new ArrayList<>();
      new KeysetNames(store).forEachRemaining(listed::add);
      assertEquals(store.names, listed);
    }
  }

  @Test
  void pages_growToABoundAndAreFetchedWhenNeeded() {
    Names store = new Names(100_000);
    KeysetNames names = new KeysetNames(store);
    assertTrue(store.pages.isEmpty());
    for (int i = 0; i < 256; i++) {
      names.next();
    }
    assertEquals(List.of(256), store.pages);
    names.forEachRemaining(name -> {});
    assertEquals(List.of(256, 1024, 4096), store.pages.subList(0, 3));
    assertEquals(9, store.pages.size());
    assertEquals(16_384, store.pages.get(8));
  }

  @Test
  void next_afterTheLast_throws() {
    KeysetNames names = new KeysetNames(new Names(1));
    names.next();
    assertFalse(names.hasNext());
    assertThrows(NoSuchElementException.class, names::next);
  }
}
