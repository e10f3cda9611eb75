package dev.sealwax.kms.testkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.store.WatchableKeysetStore;
import dev.sealwax.kms.store.WatchableKeysetStore.Changes;
import dev.sealwax.kms.store.WatchableKeysetStore.Position;
import dev.sealwax.kms.vocabulary.KeysetConflictException;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

/**
 * What every {@link WatchableKeysetStore} must do, beside what every store must: extend this class
 * instead of {@link KeysetStoreContract}.
 */
@DisplayName("A watchable keyset store")
public abstract class WatchableKeysetStoreContract extends KeysetStoreContract {
  private static final KeysetId ORDERS = KeysetId.of("orders");
  private static final KeysetId INVOICES = KeysetId.of("invoices");
  private static final Duration LONG = Duration.ofSeconds(60);
  private static final Duration SOON = Duration.ofSeconds(20);
  private static final int WRITERS = 4;
  private static final int KEYSETS_PER_WRITER = 5;

  /** Opens a store without any keysets; called once per test. */
  @Override
  protected abstract WatchableKeysetStore openEmptyStore() throws Exception;

  private WatchableKeysetStore watched() {
    return (WatchableKeysetStore) store();
  }

  @Test
  @DisplayName("names nothing when nothing was written")
  final void changesAfter_withoutWrites_isEmpty() {
    watched().create(keyset(ORDERS, 1, ""));
    Position position = watched().position();
    watched().load(ORDERS);
    watched().list(10);
    assertEquals(new Changes(position, true, Set.of()), watched().changesAfter(position));
    assertEquals(position, watched().position());
  }

  @Test
  @DisplayName("names what was created and replaced since, each once, and nothing else")
  final void changesAfter_writes_namesTheirKeysets() {
    watched().create(keyset(KeysetId.of("before"), 1, ""));
    Position position = watched().position();
    watched().create(keyset(ORDERS, 1, ""));
    watched().replace(keyset(ORDERS, 2, ""));
    watched().create(keyset(INVOICES, 1, ""));
    watched().replace(keyset(ORDERS, 3, ""));
    Changes changes = watched().changesAfter(position);
    assertTrue(changes.complete());
    assertEquals(Set.of(ORDERS, INVOICES), changes.written());
    assertEquals(
        Set.of(ORDERS, INVOICES), watched().changesAfter(position).written(), "asked again");
    assertNotEquals(position, changes.position());
    assertEquals(Set.of(), watched().changesAfter(changes.position()).written());
    watched().replace(keyset(INVOICES, 2, ""));
    assertEquals(Set.of(INVOICES), watched().changesAfter(changes.position()).written());
  }

  @Test
  @DisplayName("names every write from the empty store on")
  final void changesAfter_positionOfEmptyStore_namesAll() {
    Position position = watched().position();
    watched().create(keyset(ORDERS, 1, ""));
    Changes changes = watched().changesAfter(position);
    assertTrue(changes.complete());
    assertEquals(Set.of(ORDERS), changes.written());
  }

  @Test
  @DisplayName("says so when it does not know a position, and gives one to go on from")
  final void changesAfter_foreignPosition_isIncomplete() {
    watched().create(keyset(ORDERS, 1, ""));
    String real = watched().position().value();
    for (String value :
        List.of("", ":", "0", "0:", "1:1", "-1:x", "other", real + "x", "9" + real)) {
      Changes changes = watched().changesAfter(new Position(value));
      assertFalse(changes.complete(), value);
      assertEquals(watched().position(), changes.position(), value);
    }
  }

  @Test
  @DisplayName("leaves no write of many threads out")
  final void changesAfter_whileManyThreadsWrite_missesNothing() throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(WRITERS);
    try {
      Position position = watched().position();
      List<Future<?>> writers = new ArrayList<>();
      for (int i = 0; i < WRITERS; i++) {
        int writer = i;
        writers.add(threads.submit(() -> writeAll(writer)));
      }
      Map<KeysetId, Long> seen = new HashMap<>();
      boolean done;
      do {
        done = writers.stream().allMatch(Future::isDone);
        Changes changes = watched().changesAfter(position);
        assertTrue(changes.complete());
        for (KeysetId id : changes.written()) {
          // A write may be told of before it is done; then it is told of again.
          watched().load(id).ifPresent(found -> seen.put(id, found.revision()));
        }
        position = changes.position();
      } while (!done);
      for (Future<?> writer : writers) {
        writer.get();
      }
      assertEquals(WRITERS * KEYSETS_PER_WRITER, seen.size());
      seen.forEach(
          (id, revision) -> assertEquals(revisions(), revision, () -> "seen last of " + id));
    } finally {
      threads.shutdownNow();
    }
  }

  private int revisions() {
    return Math.min(10, writesPerThread());
  }

  private void writeAll(int writer) {
    for (int revision = 1; revision <= revisions(); revision++) {
      for (int i = 0; i < KEYSETS_PER_WRITER; i++) {
        KeysetId id = KeysetId.of("k" + writer + "-" + i);
        if (revision == 1) {
          watched().create(keyset(id, 1, ""));
        } else {
          watched().replace(keyset(id, revision, ""));
        }
      }
    }
  }

  @Test
  @DisplayName("ends a wait when it is written, also just before")
  final void awaitWrite_withWrite_returns() throws Exception {
    watched().create(keyset(ORDERS, 1, ""));
    requireSoon(() -> watched().awaitWrite(LONG));
    Future<?> waiting = startWaiting();
    watched().replace(keyset(ORDERS, 2, ""));
    waiting.get(SOON.toSeconds(), TimeUnit.SECONDS);
  }

  @Test
  @DisplayName("ends a wait after the timeout")
  final void awaitWrite_withoutWrite_returnsAfterTimeout() throws Exception {
    requireSoon(
        () -> {
          watched().awaitWrite(Duration.ZERO);
          watched().awaitWrite(Duration.ofMillis(1));
          watched().awaitWrite(Duration.ofMillis(50));
        });
    long started = System.nanoTime();
    for (int i = 0; i < 4; i++) {
      watched().awaitWrite(Duration.ofMillis(100)); // one or two may end early, not all
    }
    assertTrue(System.nanoTime() - started >= Duration.ofMillis(100).toNanos(), "no wait at all");
  }

  @Test
  @DisplayName("lets a wait be interrupted")
  final void awaitWrite_whenInterrupted_throws() {
    Thread.currentThread().interrupt();
    assertThrows(
        InterruptedException.class,
        () -> {
          for (int i = 0; i < 3; i++) {
            watched().awaitWrite(LONG);
          }
        });
    assertFalse(Thread.interrupted(), "interrupt status");
  }

  @Test
  @DisplayName("ends waits when it is closed")
  final void awaitWrite_whenClosed_throws() throws Exception {
    Future<?> waiting = startWaiting();
    watched().close();
    ExecutionException ended =
        assertThrows(
            ExecutionException.class, () -> waiting.get(SOON.toSeconds(), TimeUnit.SECONDS));
    assertTrue(ended.getCause() instanceof IllegalStateException, ended::toString);
    assertThrows(IllegalStateException.class, () -> watched().awaitWrite(LONG));
    assertThrows(IllegalStateException.class, () -> watched().position());
    assertThrows(IllegalStateException.class, () -> watched().changesAfter(new Position("x")));
  }

  @Test
  @DisplayName("refuses null and a negative timeout")
  final void watching_withBadArgument_isRefused() {
    assertThrows(NullPointerException.class, () -> watched().changesAfter(null));
    assertThrows(NullPointerException.class, () -> watched().awaitWrite(null));
    assertThrows(IllegalArgumentException.class, () -> watched().awaitWrite(Duration.ofMillis(-1)));
  }

  @Test
  @DisplayName("does not count a write that was refused")
  final void changesAfter_refusedWrites_areNone() {
    watched().create(keyset(ORDERS, 1, ""));
    Position position = watched().position();
    assertThrows(KeysetConflictException.class, () -> watched().create(keyset(ORDERS, 1, "other")));
    assertThrows(
        KeysetConflictException.class, () -> watched().replace(keyset(ORDERS, 3, "other")));
    assertEquals(position, watched().position());
  }

  private interface Wait {
    void run() throws Exception;
  }

  private static void requireSoon(Wait wait) throws Exception {
    long started = System.nanoTime();
    wait.run();
    Duration took = Duration.ofNanos(System.nanoTime() - started);
    assertTrue(took.compareTo(SOON) < 0, () -> "waited " + took);
  }

  /** A thread that waits, however often it is woken for no reason, until a write or the close. */
  private Future<?> startWaiting() throws Exception {
    ExecutorService thread = Executors.newSingleThreadExecutor();
    try {
      Position before = watched().position();
      Callable<Void> wait =
          () -> {
            do {
              watched().awaitWrite(LONG);
            } while (watched().position().equals(before));
            return null;
          };
      Future<?> waiting = thread.submit(wait);
      Thread.sleep(100); // it would be as right without, and show less
      return waiting;
    } finally {
      thread.shutdown();
    }
  }
}
