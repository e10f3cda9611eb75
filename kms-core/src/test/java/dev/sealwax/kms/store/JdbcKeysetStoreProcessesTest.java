package dev.sealwax.kms.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Two processes and eight threads of this one write one keyset at once. */
@Timeout(300)
final class JdbcKeysetStoreProcessesTest {
  private static final int PROCESSES = 2;
  private static final int WRITES_PER_PROCESS = 300;
  private static final int THREADS = 8;
  private static final int WRITES_PER_THREAD = 25;
  private static final int WRITES = PROCESSES * WRITES_PER_PROCESS + THREADS * WRITES_PER_THREAD;

  @TempDir Path directory;

  @Test
  void replace_onPostgres_losesNothing() throws Exception {
    race(PostgresServer.shared().freshSchema().getUrl() + "&user=postgres");
  }

  @Test
  void replace_onH2_losesNothing() throws Exception {
    race(H2.urlOfFile(directory));
  }

  private static void race(String url) throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(THREADS);
    try (ConnectionPool pool = ConnectionPool.of(JdbcStoreChild.dataSource(url))) {
      JdbcKeysetStore.createTables(pool.dataSource());
      try (JdbcKeysetStore store =
          JdbcKeysetStore.builder(pool.dataSource())
              .statementTimeout(Duration.ofSeconds(60))
              .open()) {
        WatchableKeysetStore.Position position = store.position();
        store.create(KeysetStoreChild.keyset(1, 10));
        List<Process> processes = new ArrayList<>();
        for (int i = 0; i < PROCESSES; i++) {
          processes.add(JdbcStoreChild.start(url, WRITES_PER_PROCESS));
        }
        List<Future<?>> writers = new ArrayList<>();
        for (int i = 0; i < THREADS; i++) {
          writers.add(threads.submit(() -> JdbcStoreChild.increment(store, WRITES_PER_THREAD)));
        }
        for (Future<?> writer : writers) {
          writer.get(200, TimeUnit.SECONDS);
        }
        for (Process process : processes) {
          String output =
              new String(process.getInputStream().readAllBytes(), StandardCharsets.US_ASCII);
          assertEquals("incremented " + WRITES_PER_PROCESS, output.strip());
          assertTrue(process.waitFor(10, TimeUnit.SECONDS), "still running");
        }
        assertEquals(1 + WRITES, store.load(JdbcStoreChild.ORDERS).orElseThrow().revision());
        WatchableKeysetStore.Changes changes = store.changesAfter(position);
        assertTrue(changes.complete());
        assertEquals(Set.of(JdbcStoreChild.ORDERS), changes.written());
        assertTrue(changes.position().value().startsWith((1 + WRITES) + ":"), changes::toString);
      }
    } finally {
      threads.shutdownNow();
    }
  }
}
