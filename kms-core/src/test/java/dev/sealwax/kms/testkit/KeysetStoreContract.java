package dev.sealwax.kms.testkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.store.KeysetStore;
import dev.sealwax.kms.store.StoredKeyset;
import dev.sealwax.kms.vocabulary.KeysetConflictException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * What every {@link KeysetStore} must do: extend it, say in {@link #openEmptyStore} how to open
 * yours, and run it.
 *
 * <p>JUnit makes an instance per test. Durability and behaviour under crashes differ from store to
 * store and are left to the store's own tests.
 */
@DisplayName("A keyset store")
@Timeout(120)
public abstract class KeysetStoreContract {
  private static final KeysetId ORDERS = KeysetId.of("orders");
  private static final int THREADS = 8;

  private KeysetStore store;

  /** Opens a store without any keysets; called once per test. */
  protected abstract KeysetStore openEmptyStore() throws Exception;

  /**
   * Writes of each thread, where some write at once; override it only where 50 of 8 threads take
   * minutes.
   */
  protected int writesPerThread() {
    return 50;
  }

  /** The store under test, for further tests of a subclass. */
  protected final KeysetStore store() {
    return store;
  }

  /** A document that any store must take: small JSON that says its revision. */
  protected static StoredKeyset keyset(KeysetId id, long revision, String content) {
    return new StoredKeyset(
        id, revision, "{\"revision\":" + revision + ",\"content\":\"" + content + "\"}");
  }

  @BeforeEach
  final void openStore() throws Exception {
    store = openEmptyStore();
  }

  @AfterEach
  final void closeStore() {
    store.close();
  }

  @Test
  @DisplayName("has no keyset before one is created")
  final void load_ofUnknownName_isEmpty() {
    assertEquals(Optional.empty(), store.load(ORDERS));
    assertEquals(List.of(), store.list(10));
  }

  @Test
  @DisplayName("returns what was created, character for character")
  final void load_afterCreate_returnsTheDocument() {
    String document = "{ \"text\" : \"tab \\t\\u00e9 \\\"quoted\\\" ~\" ,\n\"revision\":1}\n";
    StoredKeyset first = new StoredKeyset(ORDERS, 1, document);
    store.create(first);
    assertEquals(Optional.of(first), store.load(ORDERS));
  }

  @Test
  @DisplayName("returns the latest replacement")
  final void load_afterReplace_returnsTheNewDocument() {
    store.create(keyset(ORDERS, 1, "a"));
    store.replace(keyset(ORDERS, 2, "bb"));
    StoredKeyset third = keyset(ORDERS, 3, "");
    store.replace(third);
    assertEquals(Optional.of(third), store.load(ORDERS));
  }

  @Test
  @DisplayName("keeps the largest document it can, and goes back to a small one")
  final void replace_withLargestDocument_returnsIt() {
    StoredKeyset empty = keyset(ORDERS, 2, "");
    String filling = "x".repeat(store.maxDocumentChars() - empty.document().length());
    StoredKeyset largest = keyset(ORDERS, 2, filling);
    store.create(keyset(ORDERS, 1, "small"));
    store.replace(largest);
    assertEquals(Optional.of(largest), store.load(ORDERS));
    StoredKeyset small = keyset(ORDERS, 3, "small again");
    store.replace(small);
    assertEquals(Optional.of(small), store.load(ORDERS));
  }

  @Test
  @DisplayName("keeps keysets apart")
  final void replace_ofOneKeyset_leavesOthersAlone() {
    StoredKeyset neighbour = keyset(KeysetId.of("orders.2"), 1, "neighbour");
    store.create(keyset(ORDERS, 1, "a"));
    store.create(neighbour);
    store.replace(keyset(ORDERS, 2, "b"));
    assertEquals(Optional.of(neighbour), store.load(neighbour.id()));
  }

  @Test
  @DisplayName("takes every legal name")
  final void create_withAnyLegalName_works() {
    for (String name : List.of("0", "a..", "a.json", "x-_.", "z".repeat(KeysetId.MAX_LENGTH))) {
      StoredKeyset first = keyset(KeysetId.of(name), 1, name);
      store.create(first);
      assertEquals(Optional.of(first), store.load(first.id()));
    }
    assertEquals(5, store.list(10).size());
  }

  @Test
  @DisplayName("refuses to create a keyset twice, and writes nothing")
  final void create_ofPresentKeyset_isConflict() {
    StoredKeyset first = keyset(ORDERS, 1, "first");
    store.create(first);
    KeysetConflictException conflict =
        assertThrows(
            KeysetConflictException.class, () -> store.create(keyset(ORDERS, 1, "second")));
    assertEquals(ORDERS, conflict.keyset());
    assertEquals(Optional.of(first), store.load(ORDERS));
  }

  @Test
  @DisplayName("refuses a replacement that does not follow the stored revision, and writes nothing")
  final void replace_ofAnotherRevision_isConflict() {
    store.create(keyset(ORDERS, 1, "1"));
    StoredKeyset second = keyset(ORDERS, 2, "2");
    store.replace(second);
    for (long revision : new long[] {2, 4, Long.MAX_VALUE}) {
      assertThrows(
          KeysetConflictException.class, () -> store.replace(keyset(ORDERS, revision, "other")));
    }
    assertEquals(Optional.of(second), store.load(ORDERS));
  }

  @Test
  @DisplayName("says that a keyset to replace does not exist")
  final void replace_ofUnknownKeyset_isNotFound() {
    KeysetStoreException missing =
        assertThrows(KeysetStoreException.class, () -> store.replace(keyset(ORDERS, 2, "x")));
    assertEquals(KeysetStoreException.Reason.NOT_FOUND, missing.reason());
    assertEquals(Optional.empty(), store.load(ORDERS));
  }

  @Test
  @DisplayName("refuses a first revision other than 1, and a replacement by revision 1")
  final void write_withRevisionOfTheOtherCall_isRefused() {
    assertThrows(IllegalArgumentException.class, () -> store.create(keyset(ORDERS, 2, "x")));
    store.create(keyset(ORDERS, 1, "x"));
    assertThrows(IllegalArgumentException.class, () -> store.replace(keyset(ORDERS, 1, "y")));
  }

  @Test
  @DisplayName("lists names in ascending order, a page at a time")
  final void list_inPages_returnsEveryNameOnce() {
    List<String> names = new ArrayList<>();
    IntStream.range(0, 25).forEach(i -> names.add("tenant-" + i));
    names.addAll(List.of("tenant", "tenant.1", "tenant_1", "0", "zz"));
    Collections.shuffle(names, new java.util.Random(7));
    names.forEach(name -> store.create(keyset(KeysetId.of(name), 1, name)));

    List<KeysetId> listed = new ArrayList<>(store.list(7));
    assertEquals(7, listed.size());
    List<KeysetId> page = store.listAfter(listed.get(6), 7);
    while (!page.isEmpty()) {
      listed.addAll(page);
      assertTrue(page.size() == 7 || listed.size() == names.size(), "short page in the middle");
      page = store.listAfter(page.get(page.size() - 1), 7);
    }
    assertEquals(names.stream().sorted().map(KeysetId::of).toList(), listed);
  }

  @Test
  @DisplayName("lists from a name that does not exist")
  final void listAfter_unknownName_startsBehindIt() {
    store.create(keyset(KeysetId.of("a"), 1, "a"));
    store.create(keyset(KeysetId.of("c"), 1, "c"));
    assertEquals(List.of(KeysetId.of("c")), store.listAfter(KeysetId.of("b"), 10));
    assertEquals(List.of(), store.listAfter(KeysetId.of("c"), 10));
  }

  @Test
  @DisplayName("refuses null and a page without room")
  final void anyCall_withBadArgument_isRefused() {
    assertThrows(NullPointerException.class, () -> store.load(null));
    assertThrows(NullPointerException.class, () -> store.create(null));
    assertThrows(NullPointerException.class, () -> store.replace(null));
    assertThrows(NullPointerException.class, () -> store.listAfter(null, 1));
    assertThrows(IllegalArgumentException.class, () -> store.list(0));
    assertThrows(IllegalArgumentException.class, () -> store.listAfter(ORDERS, -1));
  }

  @Test
  @DisplayName("lets exactly one of many threads create a keyset")
  final void create_byManyThreads_hasOneWinner() throws Exception {
    AtomicInteger winners = new AtomicInteger();
    AtomicInteger losers = new AtomicInteger();
    inParallel(
        thread -> {
          try {
            store.create(keyset(ORDERS, 1, "by thread " + thread));
            winners.incrementAndGet();
          } catch (KeysetConflictException e) {
            losers.incrementAndGet();
          }
        });
    assertEquals(1, winners.get());
    assertEquals(THREADS - 1, losers.get());
  }

  @Test
  @DisplayName("loses no update of many threads that compare and set")
  final void replace_byManyThreads_losesNothing() throws Exception {
    store.create(keyset(ORDERS, 1, ""));
    Set<Long> won = ConcurrentHashMap.newKeySet();
    inParallel(
        thread -> {
          for (int written = 0; written < writesPerThread(); ) {
            StoredKeyset present = store.load(ORDERS).orElseThrow();
            assertTrue(present.document().contains(":" + present.revision() + ","), "torn read");
            try {
              store.replace(keyset(ORDERS, present.revision() + 1, "by thread " + thread));
              written++;
              assertTrue(won.add(present.revision() + 1), "one revision was written twice");
            } catch (KeysetConflictException e) {
              // Another thread came first: load again.
            }
          }
        });
    int writes = THREADS * writesPerThread();
    assertEquals(writes, won.size());
    assertEquals(1 + writes, store.load(ORDERS).orElseThrow().revision(), "a read of the past");
  }

  @Test
  @DisplayName("refuses every call after close, and may be closed twice")
  final void anyCall_afterClose_isRefused() {
    store.create(keyset(ORDERS, 1, ""));
    store.close();
    store.close();
    assertThrows(IllegalStateException.class, () -> store.load(ORDERS));
    assertThrows(IllegalStateException.class, () -> store.create(keyset(ORDERS, 1, "")));
    assertThrows(IllegalStateException.class, () -> store.replace(keyset(ORDERS, 2, "")));
    assertThrows(IllegalStateException.class, () -> store.list(1));
    assertThrows(IllegalStateException.class, () -> store.listAfter(ORDERS, 1));
  }

  private interface Work {
    void run(int thread) throws Exception;
  }

  private static void inParallel(Work work) throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(THREADS);
    try {
      CountDownLatch start = new CountDownLatch(1);
      List<Future<?>> results = new ArrayList<>();
      for (int i = 0; i < THREADS; i++) {
        int thread = i;
        Callable<Void> task =
            () -> {
              start.await();
              work.run(thread);
              return null;
            };
        results.add(threads.submit(task));
      }
      start.countDown();
      for (Future<?> result : results) {
        result.get(100, TimeUnit.SECONDS);
      }
    } finally {
      threads.shutdownNow();
    }
  }
}
