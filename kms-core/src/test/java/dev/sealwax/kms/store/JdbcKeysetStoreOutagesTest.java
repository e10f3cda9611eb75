package dev.sealwax.kms.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.keyset.Keyset;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.keyset.Keysets;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.store.TcpProxy.Fault;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.KeysetConflictException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import dev.sealwax.kms.vocabulary.KeysetStoreException.Reason;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import javax.sql.DataSource;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.postgresql.ds.PGSimpleDataSource;

/** What a real PostgreSQL, and the network to it, can do to a store. */
@Timeout(120)
final class JdbcKeysetStoreOutagesTest {
  private static final KeysetId ORDERS = KeysetStoreChild.ORDERS;
  private static final StoredKeyset FIRST = KeysetStoreChild.keyset(1, 10);
  private static final StoredKeyset SECOND = KeysetStoreChild.keyset(2, 10);
  private static final String LOCK_CHANGES =
      "SELECT * FROM sealwax_keysets_changes WHERE change_number = 0 FOR UPDATE";

  @TempDir Path directory;

  private PGSimpleDataSource database;

  @BeforeEach
  void createTables() throws SQLException {
    database = PostgresServer.shared().freshSchema();
    JdbcKeysetStore.createTables(database);
  }

  @Test
  void write_cutOffBeforeTheCommit_isUnavailableAndNotDone() throws Exception {
    try (TcpProxy proxy = new TcpProxy(PostgresServer.shared().port());
        JdbcKeysetStore store = JdbcKeysetStore.open(through(proxy))) {
      proxy.failAt("COMMIT", Fault.CUT_BEFORE);
      KeysetStoreException failure = requireReason(Reason.UNAVAILABLE, () -> store.create(FIRST));
      assertTrue(failure.getMessage().contains("load it again to see"), failure.getMessage());
      assertTrue(proxy.hasFailed());
      assertEquals(Optional.empty(), store.load(ORDERS));
      store.create(FIRST);
      assertEquals(Optional.of(FIRST), store.load(ORDERS));
    }
  }

  @Test
  void write_cutOffAfterTheCommit_isUnavailableAndDone() throws Exception {
    try (TcpProxy proxy = new TcpProxy(PostgresServer.shared().port());
        JdbcKeysetStore store = JdbcKeysetStore.open(through(proxy))) {
      proxy.failAt("COMMIT", Fault.CUT_AFTER);
      KeysetStoreException failure = requireReason(Reason.UNAVAILABLE, () -> store.create(FIRST));
      assertTrue(failure.getMessage().contains("load it again to see"), failure.getMessage());
      assertEquals(Optional.of(FIRST), store.load(ORDERS));
      assertThrows(KeysetConflictException.class, () -> store.create(FIRST));
    }
  }

  @Test
  void write_cutOffAtAnyStatement_isUnavailableAndNotDone() throws Exception {
    try (TcpProxy proxy = new TcpProxy(PostgresServer.shared().port());
        JdbcKeysetStore store = JdbcKeysetStore.open(through(proxy))) {
      store.create(FIRST);
      for (String word : List.of("UPDATE", "FOR UPDATE", "DESC", "INSERT", "pg_notify")) {
        for (Fault fault : List.of(Fault.CUT_BEFORE, Fault.CUT_AFTER)) {
          proxy.failAt(word, fault);
          KeysetStoreException failure =
              requireReason(Reason.UNAVAILABLE, () -> store.replace(SECOND));
          assertTrue(failure.getMessage().contains("nothing was written"), failure.getMessage());
          assertTrue(proxy.hasFailed(), word);
          assertEquals(Optional.of(FIRST), store.load(ORDERS), word);
        }
      }
      store.replace(SECOND);
    }
  }

  @Test
  void verbs_cutOffAtTheCommit_loseNothingAndDoNothingTwice() throws Exception {
    try (TcpProxy proxy = new TcpProxy(PostgresServer.shared().port());
        Kms kms =
            Kms.builder()
                .rootKey(
                    LocalRootKey.create(
                        directory.resolve("root.key"), KeyMaterial.copyOf(new byte[32])))
                .store(JdbcKeysetStore.open(through(proxy)))
                .build()) {
      Keysets keysets = kms.keysets();
      proxy.failAt("COMMIT", Fault.CUT_BEFORE);
      requireReason(Reason.UNAVAILABLE, () -> keysets.create("orders", KeysetTemplate.defaults()));
      proxy.failAt("COMMIT", Fault.CUT_AFTER);
      assertEquals(1, keysets.create("orders", KeysetTemplate.defaults()).revision());

      proxy.failAt("COMMIT", Fault.CUT_AFTER);
      assertEquals(2, keysets.rotate("orders").versions().size());
      proxy.failAt("COMMIT", Fault.CUT_BEFORE);
      requireReason(Reason.UNAVAILABLE, () -> keysets.rotate("orders"));
      Keyset now = keysets.get("orders");
      assertEquals(2, now.versions().size());
      assertEquals(2, now.revision());
      proxy.failAt("COMMIT", Fault.CUT_AFTER);
      keysets.disable("orders", 1);
      assertEquals(3, keysets.get("orders").revision());
    }
  }

  @Test
  void network_thatFellSilent_isUnavailableAfterTheSocketTimeout() throws Exception {
    try (TcpProxy proxy = new TcpProxy(PostgresServer.shared().port())) {
      PGSimpleDataSource source = through(proxy);
      source.setSocketTimeout(2);
      source.setCancelSignalTimeout(1);
      try (JdbcKeysetStore store = JdbcKeysetStore.open(source)) {
        store.create(FIRST);
        proxy.failAt("SELECT name", Fault.SILENCE);
        requireReason(Reason.UNAVAILABLE, () -> store.load(ORDERS));
        proxy.failAt("COMMIT", Fault.SILENCE);
        requireReason(Reason.UNAVAILABLE, () -> store.replace(SECOND));
        assertEquals(Optional.of(FIRST), store.load(ORDERS));
      }
    }
  }

  @Test
  void statement_thatWaitsTooLong_isCancelled() throws Exception {
    try (JdbcKeysetStore store =
            JdbcKeysetStore.builder(database).statementTimeout(Duration.ofMillis(500)).open();
        Connection other = database.getConnection();
        Statement sql = other.createStatement()) {
      store.create(FIRST);
      other.setAutoCommit(false);
      sql.execute("LOCK TABLE sealwax_keysets IN ACCESS EXCLUSIVE MODE");
      for (Executable call :
          List.<Executable>of(
              () -> store.load(ORDERS), () -> store.list(1), () -> store.replace(SECOND))) {
        long started = System.nanoTime();
        KeysetStoreException failure = requireReason(Reason.UNAVAILABLE, call);
        assertTrue(failure.getMessage().contains("57014"), failure.getMessage());
        assertTrue(System.nanoTime() - started < TimeUnit.SECONDS.toNanos(20), "too late");
      }
      other.rollback();
      assertEquals(Optional.of(FIRST), store.load(ORDERS));
      store.replace(SECOND);
    }
  }

  @Test
  void lockTimeout_isUnavailable() throws Exception {
    PGSimpleDataSource impatient = PostgresServer.shared().dataSource();
    impatient.setCurrentSchema(database.getCurrentSchema());
    impatient.setOptions("-c lock_timeout=100");
    try (JdbcKeysetStore store = JdbcKeysetStore.open(impatient);
        Connection other = database.getConnection();
        Statement sql = other.createStatement()) {
      store.create(FIRST);
      other.setAutoCommit(false);
      sql.execute("SELECT * FROM sealwax_keysets FOR UPDATE");
      KeysetStoreException failure = requireReason(Reason.UNAVAILABLE, () -> store.replace(SECOND));
      assertTrue(failure.getMessage().contains("55P03"), failure.getMessage());
      assertEquals(Optional.of(FIRST), store.load(ORDERS));
    }
  }

  @Test
  void readOnlyServer_readsAndRefusesToWrite() throws Exception {
    PGSimpleDataSource replica = PostgresServer.shared().dataSource();
    replica.setCurrentSchema(database.getCurrentSchema());
    replica.setOptions("-c default_transaction_read_only=on");
    try (JdbcKeysetStore store = JdbcKeysetStore.open(database)) {
      store.create(FIRST);
    }
    try (JdbcKeysetStore store = JdbcKeysetStore.open(replica)) {
      KeysetStoreException failure =
          requireReason(Reason.INACCESSIBLE, () -> store.replace(SECOND));
      assertTrue(failure.getMessage().contains("25006"), failure.getMessage());
      requireReason(
          Reason.INACCESSIBLE, () -> store.create(new StoredKeyset(KeysetId.of("other"), 1, "{}")));
      assertEquals(Optional.of(FIRST), store.load(ORDERS));
      assertEquals(List.of(ORDERS), store.list(10));
      assertEquals(Optional.empty(), store.load(KeysetId.of("other")));
      assertTrue(store.changesAfter(store.position()).complete());
    }
  }

  @Test
  void roleThatMaySelectOnly_readsAndRefusesToWrite() throws Exception {
    String schema = database.getCurrentSchema();
    String role = "reader_" + schema;
    PostgresServer.execute(
        database,
        "CREATE ROLE " + role + " LOGIN",
        "GRANT USAGE ON SCHEMA " + schema + " TO " + role,
        "GRANT SELECT ON sealwax_keysets, sealwax_keysets_changes TO " + role);
    try (JdbcKeysetStore store = JdbcKeysetStore.open(database)) {
      store.create(FIRST);
    }
    PGSimpleDataSource reading = PostgresServer.shared().dataSource();
    reading.setCurrentSchema(schema);
    reading.setUser(role);
    try (JdbcKeysetStore store = JdbcKeysetStore.builder(reading).listenOn(reading).open()) {
      KeysetStoreException failure =
          requireReason(Reason.INACCESSIBLE, () -> store.replace(SECOND));
      assertTrue(failure.getMessage().contains("42501"), failure.getMessage());
      assertEquals(Optional.of(FIRST), store.load(ORDERS));
      assertEquals(List.of(ORDERS), store.list(10));
      assertTrue(store.changesAfter(store.position()).complete());
    }
  }

  @Test
  void roleWithTheGrantsOfTheManual_writes() throws Exception {
    String schema = database.getCurrentSchema();
    String role = "writer_" + schema;
    PostgresServer.execute(
        database,
        "CREATE ROLE " + role + " LOGIN",
        "GRANT USAGE ON SCHEMA " + schema + " TO " + role,
        "GRANT SELECT, INSERT, UPDATE ON sealwax_keysets TO " + role,
        "GRANT SELECT, INSERT, UPDATE, DELETE ON sealwax_keysets_changes TO " + role);
    PGSimpleDataSource writing = PostgresServer.shared().dataSource();
    writing.setCurrentSchema(schema);
    writing.setUser(role);
    try (JdbcKeysetStore store = JdbcKeysetStore.open(writing)) {
      store.create(FIRST);
      for (int revision = 2; revision <= 101; revision++) { // prunes once
        store.replace(new StoredKeyset(ORDERS, revision, "{}"));
      }
    }
  }

  @Test
  void badPlace_isInaccessible() throws Exception {
    PGSimpleDataSource empty = PostgresServer.shared().freshSchema();
    KeysetStoreException missing =
        requireReason(Reason.INACCESSIBLE, () -> JdbcKeysetStore.open(empty));
    assertTrue(
        missing.getMessage().contains("create the tables sealwax_keysets and"),
        missing.getMessage());
    assertTrue(missing.getMessage().contains("JdbcKeysetStore.createTables"), missing.getMessage());
    try (Connection connection = empty.getConnection();
        ResultSet tables =
            connection.getMetaData().getTables(null, empty.getCurrentSchema(), "%", null)) {
      assertFalse(tables.next(), "opening created something");
    }

    PGSimpleDataSource noDatabase = PostgresServer.shared().dataSource();
    noDatabase.setDatabaseName("nowhere");
    requireReason(Reason.INACCESSIBLE, () -> JdbcKeysetStore.open(noDatabase));

    PGSimpleDataSource nobody = PostgresServer.shared().dataSource();
    nobody.setUser("nobody");
    requireReason(Reason.INACCESSIBLE, () -> JdbcKeysetStore.open(nobody));

    PGSimpleDataSource noServer = PostgresServer.shared().dataSource();
    noServer.setPortNumbers(new int[] {1});
    requireReason(Reason.UNAVAILABLE, () -> JdbcKeysetStore.open(noServer));
  }

  @Test
  void createTables_twice_isRefusedAndKeepsWhatIsThere() throws Exception {
    try (JdbcKeysetStore store = JdbcKeysetStore.open(database)) {
      store.create(FIRST);
      requireExistAlready(database);
      assertEquals(Optional.of(FIRST), store.load(ORDERS));
    }
    DataSource h2 = H2.inMemory();
    JdbcKeysetStore.createTables(h2);
    requireExistAlready(h2);
  }

  private static void requireExistAlready(DataSource database) {
    KeysetStoreException refusal =
        requireReason(Reason.INACCESSIBLE, () -> JdbcKeysetStore.createTables(database));
    assertTrue(
        refusal.getMessage().contains("or one of them, exist already; open them"),
        refusal.getMessage());
  }

  @Test
  void tableThatVanishes_isInaccessibleAndNotNone() throws Exception {
    try (JdbcKeysetStore store = JdbcKeysetStore.open(database)) {
      store.create(FIRST);
      PostgresServer.execute(database, "ALTER TABLE sealwax_keysets RENAME TO gone");
      requireReason(Reason.INACCESSIBLE, () -> store.load(ORDERS));
      requireReason(Reason.INACCESSIBLE, () -> store.list(1));
      requireReason(Reason.INACCESSIBLE, () -> store.replace(SECOND));
      PostgresServer.execute(database, "ALTER TABLE gone RENAME TO sealwax_keysets");
      store.replace(SECOND);
    }
  }

  @Test
  void write_waitingForItsTurn_holdsNoKeyset() throws Exception {
    ExecutorService thread = Executors.newSingleThreadExecutor();
    try (JdbcKeysetStore store =
            JdbcKeysetStore.builder(database).statementTimeout(Duration.ofSeconds(60)).open();
        Connection other = database.getConnection();
        Statement sql = other.createStatement()) {
      store.create(FIRST);
      other.setAutoCommit(false);
      sql.execute("SET lock_timeout = 500");
      sql.execute(LOCK_CHANGES);
      Future<?> replacing = thread.submit(() -> store.replace(SECOND));
      PostgresServer.awaitLockWait(database);
      sql.execute("UPDATE sealwax_keysets SET revision = 7");
      other.commit();
      ExecutionException tooLate =
          assertThrows(ExecutionException.class, () -> replacing.get(30, TimeUnit.SECONDS));
      assertInstanceOf(KeysetConflictException.class, tooLate.getCause());
      assertEquals(7, store.load(ORDERS).orElseThrow().revision());
    } finally {
      thread.shutdownNow();
    }
  }

  @Test
  void deadlock_isTriedAgain() throws Exception {
    ExecutorService thread = Executors.newSingleThreadExecutor();
    // The store is to be the one that notices and gives way, once and while the other waits.
    PGSimpleDataSource giving = PostgresServer.shared().dataSource();
    giving.setCurrentSchema(database.getCurrentSchema());
    giving.setOptions("-c deadlock_timeout=2s");
    try (JdbcKeysetStore store =
            JdbcKeysetStore.builder(giving).statementTimeout(Duration.ofSeconds(60)).open();
        Connection other = database.getConnection();
        Statement sql = other.createStatement()) {
      store.create(FIRST);
      long deadlocks = deadlocks();
      other.setAutoCommit(false);
      sql.execute("SET deadlock_timeout = '1min'");
      sql.execute("UPDATE sealwax_keysets SET revision = revision");
      Future<?> replacing = thread.submit(() -> store.replace(SECOND));
      PostgresServer.awaitLockWait(database);
      sql.execute(LOCK_CHANGES); // returns when the store gave way
      other.rollback();
      replacing.get(30, TimeUnit.SECONDS);
      assertEquals(Optional.of(SECOND), store.load(ORDERS));
      assertTrue(deadlocks() > deadlocks, "there was no deadlock");
    } finally {
      thread.shutdownNow();
    }
  }

  @Test
  void serializationFailure_isTriedAgainAFewTimes() throws Exception {
    for (String when : List.of("NOT DEFERRABLE", "DEFERRABLE INITIALLY DEFERRED")) {
      PGSimpleDataSource source = PostgresServer.shared().freshSchema();
      JdbcKeysetStore.createTables(source);
      PostgresServer.execute(
          source,
          "CREATE SEQUENCE failures",
          "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
              + " IF nextval('failures') <= 2 THEN"
              + " RAISE EXCEPTION 'undone' USING ERRCODE = '40001'; END IF; RETURN NEW; END $$",
          "CREATE CONSTRAINT TRIGGER fail AFTER UPDATE ON sealwax_keysets "
              + when
              + " FOR EACH ROW EXECUTE FUNCTION fail()");
      try (JdbcKeysetStore store = JdbcKeysetStore.open(source)) {
        store.create(FIRST);
        store.replace(SECOND);
        assertEquals(Optional.of(SECOND), store.load(ORDERS));
        PostgresServer.execute(
            source, "ALTER SEQUENCE failures RESTART MINVALUE -1000 START -1000");
        StoredKeyset third = KeysetStoreChild.keyset(3, 10);
        KeysetStoreException failure =
            requireReason(Reason.UNAVAILABLE, () -> store.replace(third));
        assertTrue(failure.getMessage().contains("nothing was written"), failure.getMessage());
        assertEquals(Optional.of(SECOND), store.load(ORDERS));
      }
    }
  }

  @Test
  void failedCommit_thatIsNoConnectionFailure_isOfUnknownOutcome() throws Exception {
    PostgresServer.execute(
        database,
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            + " RAISE EXCEPTION 'refused' USING ERRCODE = '42501'; END $$",
        "CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON sealwax_keysets DEFERRABLE INITIALLY"
            + " DEFERRED FOR EACH ROW EXECUTE FUNCTION fail()");
    try (JdbcKeysetStore store = JdbcKeysetStore.open(database)) {
      requireReason(Reason.UNAVAILABLE, () -> store.create(FIRST));
      assertEquals(Optional.empty(), store.load(ORDERS));
    }
  }

  @Test
  void serverStoppedAndStarted_isUnavailableMeanwhile() throws Exception {
    try (ConnectionPool pool = ConnectionPool.of(database);
        JdbcKeysetStore store =
            JdbcKeysetStore.builder(pool.dataSource()).listenOn(database).open()) {
      store.create(FIRST);
      WatchableKeysetStore.Position position = store.position();
      PostgresServer.shared().stop();
      try {
        requireReason(Reason.UNAVAILABLE, () -> store.load(ORDERS)); // on a dead connection
        requireReason(Reason.UNAVAILABLE, () -> store.load(ORDERS)); // on none
        requireReason(Reason.UNAVAILABLE, () -> store.list(1));
        requireReason(Reason.UNAVAILABLE, () -> store.replace(SECOND));
        requireReason(Reason.UNAVAILABLE, () -> store.changesAfter(position));
        store.awaitWrite(Duration.ofMillis(50));
        store.awaitWrite(Duration.ofMillis(50));
      } finally {
        PostgresServer.shared().restart();
      }
      assertEquals(Optional.of(FIRST), store.load(ORDERS));
      store.replace(SECOND);
      assertEquals(Set.of(ORDERS), store.changesAfter(position).written());
    }
  }

  @Test
  void tooManyConnections_isUnavailable() throws Exception {
    String role = "one_" + database.getCurrentSchema();
    PostgresServer.execute(
        database,
        "CREATE ROLE " + role + " LOGIN CONNECTION LIMIT 1",
        "GRANT USAGE ON SCHEMA " + database.getCurrentSchema() + " TO " + role,
        "GRANT SELECT ON ALL TABLES IN SCHEMA " + database.getCurrentSchema() + " TO " + role);
    PGSimpleDataSource limited = PostgresServer.shared().dataSource();
    limited.setCurrentSchema(database.getCurrentSchema());
    limited.setUser(role);
    JdbcKeysetStore store = JdbcKeysetStore.open(limited);
    try (Connection only = takeConnection(limited)) {
      KeysetStoreException failure = requireReason(Reason.UNAVAILABLE, () -> store.load(ORDERS));
      assertTrue(failure.getMessage().contains("53300"), failure.getMessage());
      assertFalse(only.isClosed());
    }
  }

  /** The connection that was closed last may hold its place for a moment longer. */
  private static Connection takeConnection(DataSource source) throws Exception {
    while (true) {
      try {
        return source.getConnection();
      } catch (SQLException e) {
        assertEquals("53300", e.getSQLState());
        Thread.sleep(10);
      }
    }
  }

  @Test
  void unusualPool_isServedAndGetsItsConnectionsBack() throws Exception {
    int[] levels = {
      Connection.TRANSACTION_SERIALIZABLE,
      Connection.TRANSACTION_REPEATABLE_READ,
      Connection.TRANSACTION_READ_COMMITTED
    };
    for (int isolation : levels) {
      for (boolean autoCommit : new boolean[] {true, false}) {
        PGSimpleDataSource source = PostgresServer.shared().freshSchema();
        JdbcKeysetStore.createTables(source);
        try (ConnectionPool pool = ConnectionPool.of(source, autoCommit, isolation);
            JdbcKeysetStore store =
                JdbcKeysetStore.builder(pool.dataSource())
                    .statementTimeout(Duration.ofSeconds(60))
                    .open()) {
          WatchableKeysetStore.Position position = store.position();
          writeInParallel(store, 4, 10);
          WatchableKeysetStore.Changes changes = store.changesAfter(position);
          assertTrue(changes.complete());
          assertEquals(4, changes.written().size());
          assertTrue(changes.position().value().startsWith("40:"), changes::toString);
        }
        try (Connection connection = source.getConnection();
            Statement sql = connection.createStatement();
            ResultSet idle =
                sql.executeQuery(
                    "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in trans%'")) {
          idle.next();
          assertEquals(0, idle.getInt(1), "transactions left open");
        }
      }
    }
  }

  @Test
  void connectionThatThePoolTriedLongAgo_answersFromThePresent() throws Exception {
    for (int isolation :
        new int[] {Connection.TRANSACTION_REPEATABLE_READ, Connection.TRANSACTION_SERIALIZABLE}) {
      PGSimpleDataSource source = PostgresServer.shared().freshSchema();
      JdbcKeysetStore.createTables(source);
      try (ConnectionPool pool = ConnectionPool.of(source, false, isolation);
          JdbcKeysetStore store = JdbcKeysetStore.open(pool.dataSource());
          JdbcKeysetStore other = JdbcKeysetStore.open(source)) {
        WatchableKeysetStore.Position position = store.position();
        pool.validateIdle("SELECT 1");
        other.create(FIRST);
        assertEquals(Optional.of(FIRST), store.load(ORDERS));
        pool.validateIdle("SELECT 1");
        other.replace(SECOND);
        assertEquals(Set.of(ORDERS), store.changesAfter(position).written());
        pool.validateIdle("SELECT 1");
        StoredKeyset third = KeysetStoreChild.keyset(3, 10);
        store.replace(third);
        assertEquals(Optional.of(third), other.load(ORDERS));
      }
    }
  }

  private static void writeInParallel(JdbcKeysetStore store, int threads, int writes)
      throws Exception {
    ExecutorService pool = Executors.newFixedThreadPool(threads);
    try {
      List<Future<?>> writers = new ArrayList<>();
      for (int i = 0; i < threads; i++) {
        KeysetId id = KeysetId.of("thread-" + i);
        writers.add(
            pool.submit(
                () -> {
                  store.create(new StoredKeyset(id, 1, "{}"));
                  for (int revision = 2; revision <= writes; revision++) {
                    store.replace(new StoredKeyset(id, revision, "{}"));
                  }
                }));
      }
      for (Future<?> writer : writers) {
        writer.get(60, TimeUnit.SECONDS);
      }
    } finally {
      pool.shutdownNow();
    }
  }

  private PGSimpleDataSource through(TcpProxy proxy) {
    PGSimpleDataSource source = PostgresServer.shared().dataSource();
    source.setCurrentSchema(database.getCurrentSchema());
    source.setServerNames(new String[] {"127.0.0.1"});
    source.setPortNumbers(new int[] {proxy.port()});
    source.setSslMode("disable"); // one message less, and words to be seen
    return source;
  }

  private static KeysetStoreException requireReason(Reason reason, Executable call) {
    KeysetStoreException failure = assertThrows(KeysetStoreException.class, call);
    assertEquals(reason, failure.reason(), failure::getMessage);
    return failure;
  }

  private long deadlocks() throws SQLException {
    return PostgresServer.number(
        database,
        "SELECT pg_stat_force_next_flush() IS NULL, deadlocks FROM pg_stat_database"
            + " WHERE datname = current_database()");
  }
}
