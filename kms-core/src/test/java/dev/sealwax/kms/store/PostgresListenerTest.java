package dev.sealwax.kms.store;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.store.WatchableKeysetStore.Position;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicInteger;
import javax.sql.DataSource;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.postgresql.ds.PGSimpleDataSource;

/** A store on PostgreSQL hears of the writes of another one. */
@Timeout(60)
final class PostgresListenerTest {
  private static final Duration LONG = Duration.ofSeconds(50);
  private static final Duration SOON = Duration.ofSeconds(20);

  private PGSimpleDataSource database;
  private PGSimpleDataSource listening;
  private int written;

  @BeforeEach
  void createTables() throws SQLException {
    database = PostgresServer.shared().freshSchema();
    JdbcKeysetStore.createTables(database);
    listening = PostgresServer.shared().dataSource();
    listening.setCurrentSchema(database.getCurrentSchema());
    listening.setApplicationName("listener " + database.getCurrentSchema());
  }

  @Test
  void awaitWrite_hearsOfAnotherStoresWrites() throws Exception {
    try (JdbcKeysetStore writer = JdbcKeysetStore.open(database);
        JdbcKeysetStore reader = listeningStore()) {
      for (int i = 0; i < 20; i++) {
        requireHeard(reader, writer);
      }
    }
  }

  @Test
  void awaitWrite_afterTheConnectionWasLost_hearsAgain() throws Exception {
    try (JdbcKeysetStore writer = JdbcKeysetStore.open(database);
        JdbcKeysetStore reader = listeningStore()) {
      requireHeard(reader, writer);
      for (int i = 0; i < 2; i++) {
        awaitListeners(1);
        execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '"
                + listening.getApplicationName()
                + "'");
        requireHeard(reader, writer);
      }
    }
  }

  @Test
  void close_endsTheThreadAndTheConnection() throws Exception {
    JdbcKeysetStore store = listeningStore();
    awaitListeners(1);
    store.close();
    awaitListeners(0);
    long deadline = System.nanoTime() + SOON.toNanos();
    while (listenerThreads() > 0) {
      assertTrue(System.nanoTime() < deadline, "thread goes on");
      Thread.sleep(10);
    }
  }

  /** Pools throw what they like; the store has to end its waits all the same. */
  @Test
  void close_connectionThatCannotBeAborted_endsTheWaits() throws Exception {
    DataSource source =
        ConnectionPool.lending(
            () -> {
              Connection real = listening.getConnection();
              return (Connection)
                  Proxy.newProxyInstance(
                      getClass().getClassLoader(),
                      new Class<?>[] {Connection.class},
                      (proxy, method, arguments) -> {
                        if (method.getName().equals("abort")) {
                          real.abort(Runnable::run);
                          throw new IllegalStateException("not by way of the pool");
                        }
                        return method.invoke(real, arguments);
                      });
            });
    JdbcKeysetStore store = JdbcKeysetStore.builder(database).listenOn(source).open();
    awaitListeners(1);
    assertDoesNotThrow(store::close);
    assertThrows(IllegalStateException.class, () -> store.awaitWrite(LONG));
  }

  @Test
  void listenOn_sourceThatFails_harmsNothing() throws Exception {
    AtomicInteger asked = new AtomicInteger();
    DataSource broken =
        ConnectionPool.lending(
            () -> {
              asked.incrementAndGet();
              throw new SQLException("no", "08001");
            });
    requireUnharmed(broken);
    assertTrue(asked.get() > 0 && asked.get() < 10, "asked " + asked + " times");
  }

  @Test
  void listenOn_sourceThatThrowsAnythingElse_harmsNothing() throws Exception {
    requireUnharmed(
        ConnectionPool.lending(
            () -> {
              throw new IllegalStateException("pool is closed");
            }));
  }

  @Test
  void listenOn_anotherDriver_harmsNothing() throws Exception {
    requireUnharmed(H2.inMemory());
  }

  @Test
  void listenOn_withoutPostgres_isRefused() {
    DataSource h2 = H2.inMemory();
    JdbcKeysetStore.createTables(h2);
    JdbcKeysetStore.Builder builder = JdbcKeysetStore.builder(h2).listenOn(h2);
    assertThrows(IllegalArgumentException.class, builder::open);
  }

  @Test
  void listenOn_connectionInATransaction_hears() throws Exception {
    DataSource withoutAutoCommit =
        ConnectionPool.lending(
            () -> {
              Connection connection = listening.getConnection();
              connection.setAutoCommit(false);
              return connection;
            });
    try (JdbcKeysetStore writer = JdbcKeysetStore.open(database);
        JdbcKeysetStore reader =
            JdbcKeysetStore.builder(database).listenOn(withoutAutoCommit).open()) {
      requireHeard(reader, writer);
      requireHeard(reader, writer);
    }
  }

  private JdbcKeysetStore listeningStore() {
    return JdbcKeysetStore.builder(database).listenOn(listening).open();
  }

  /** Whether a write is heard of long before the timeout, however often a wait ends early. */
  private void requireHeard(JdbcKeysetStore reader, JdbcKeysetStore writer) throws Exception {
    Position before = reader.position();
    Thread writing =
        new Thread(
            () ->
                writer.create(
                    new StoredKeyset(
                        KeysetId.of("k" + database.getCurrentSchema() + written++), 1, "{}")));
    long started = System.nanoTime();
    writing.start();
    while (reader.changesAfter(before).written().isEmpty()) {
      reader.awaitWrite(LONG);
    }
    writing.join();
    Duration took = Duration.ofNanos(System.nanoTime() - started);
    assertTrue(took.compareTo(SOON) < 0, () -> "heard after " + took);
  }

  private void requireUnharmed(DataSource broken) throws Exception {
    try (JdbcKeysetStore store = JdbcKeysetStore.builder(database).listenOn(broken).open()) {
      StoredKeyset first = KeysetStoreChild.keyset(1, 10);
      Position before = store.position();
      store.create(first);
      assertEquals(first, store.load(first.id()).orElseThrow());
      store.awaitWrite(Duration.ofSeconds(20)); // its own write ends the wait
      store.awaitWrite(Duration.ofMillis(300));
      assertEquals(1, store.changesAfter(before).written().size());
    }
  }

  private static long listenerThreads() {
    return Thread.getAllStackTraces().keySet().stream()
        .filter(thread -> thread.getName().equals("sealwax-store-listener"))
        .count();
  }

  private void awaitListeners(int expected) throws Exception {
    long deadline = System.nanoTime() + SOON.toNanos();
    while (listeners() != expected) {
      assertTrue(System.nanoTime() < deadline, () -> "not " + expected + " listeners");
      Thread.sleep(10);
    }
  }

  private int listeners() throws SQLException {
    try (Connection connection = database.getConnection();
        Statement sql = connection.createStatement();
        ResultSet row =
            sql.executeQuery(
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
                    + " AND application_name = '"
                    + listening.getApplicationName()
                    + "'")) {
      row.next();
      return row.getInt(1);
    }
  }

  private void execute(String sql) throws SQLException {
    PostgresServer.execute(database, sql);
  }
}
