package dev.sealwax.kms.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.store.WatchableKeysetStore.Changes;
import dev.sealwax.kms.store.WatchableKeysetStore.Position;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import dev.sealwax.kms.vocabulary.KeysetStoreException.Reason;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;
import org.postgresql.ds.PGSimpleDataSource;

/** The table of changes in PostgreSQL, with transactions side by side and with what befalls it. */
@Timeout(60)
final class ChangeLogTest {
  private static final KeysetId A = KeysetId.of("a");
  private static final KeysetId B = KeysetId.of("b");
  private static final ChangeLog LOG = new ChangeLog(KeysetTables.named(KeysetTables.DEFAULT_NAME));

  private PGSimpleDataSource database;
  private JdbcKeysetStore store;

  @BeforeEach
  void openStore() throws SQLException {
    database = PostgresServer.shared().freshSchema();
    JdbcKeysetStore.createTables(database);
    store = JdbcKeysetStore.open(database);
  }

  @AfterEach
  void closeStore() {
    store.close();
  }

  @Test
  void append_whileAnotherTransactionHasAppended_waitsForItsEnd() throws Exception {
    ExecutorService thread = Executors.newSingleThreadExecutor();
    try {
      Position start = store.position();
      JdbcSession first = writing();
      LOG.append(first, A);
      JdbcSession second = writing();
      Future<?> appending =
          thread.submit(
              () -> {
                LOG.append(second, B);
                return null;
              });
      PostgresServer.awaitLockWait(database);
      // Nothing is committed: whoever asks now must find both later.
      assertEquals(new Changes(start, true, Set.of()), store.changesAfter(start));

      first.commit();
      first.giveBack();
      appending.get(20, TimeUnit.SECONDS);
      Changes afterFirst = store.changesAfter(start);
      assertEquals(Set.of(A), afterFirst.written());
      assertTrue(afterFirst.complete());

      second.commit();
      second.giveBack();
      assertEquals(Set.of(B), store.changesAfter(afterFirst.position()).written());
      assertEquals(Set.of(A, B), store.changesAfter(start).written());
    } finally {
      thread.shutdownNow();
    }
  }

  @Test
  void append_whoseTransactionIsUndone_leavesNoGap() throws Exception {
    Position start = store.position();
    JdbcSession undone = writing();
    LOG.append(undone, A);
    undone.giveUp(new SQLException("never mind"));
    create("b");
    Changes changes = store.changesAfter(start);
    assertEquals(Set.of(B), changes.written());
    assertTrue(changes.complete());
  }

  @Test
  void changesAfter_restoredBackup_isIncomplete() throws Exception {
    create("a");
    execute(
        "CREATE TABLE backup_k AS TABLE sealwax_keysets",
        "CREATE TABLE backup_c AS TABLE sealwax_keysets_changes");
    Position backedUp = store.position();
    create("b");
    Position lost = store.position();
    execute(
        "TRUNCATE sealwax_keysets, sealwax_keysets_changes",
        "INSERT INTO sealwax_keysets TABLE backup_k",
        "INSERT INTO sealwax_keysets_changes TABLE backup_c");

    Changes restored = store.changesAfter(lost);
    assertFalse(restored.complete());
    assertEquals(backedUp, restored.position());
    assertTrue(store.changesAfter(backedUp).complete());
    // Other writes take the numbers of those that were lost.
    create("c");
    assertFalse(store.changesAfter(lost).complete(), "same number, another write");
    create("d");
    assertFalse(store.changesAfter(lost).complete(), "overtaken");
    assertEquals(
        Set.of(KeysetId.of("c"), KeysetId.of("d")), store.changesAfter(backedUp).written());
  }

  @Test
  void changesAfter_tablesMadeAnew_isIncomplete() throws Exception {
    Position before = store.position();
    execute("DROP TABLE sealwax_keysets, sealwax_keysets_changes");
    JdbcKeysetStore.createTables(database);
    assertFalse(store.changesAfter(before).complete());
  }

  @Test
  void changesAfter_newTokens_isIncomplete() throws Exception {
    create("a");
    Position before = store.position();
    execute("UPDATE sealwax_keysets_changes SET token = CAST(gen_random_uuid() AS varchar(36))");
    assertFalse(store.changesAfter(before).complete());
    assertTrue(store.changesAfter(store.position()).complete());
  }

  @Test
  void changesAfter_missingChange_isIncomplete() throws Exception {
    Position start = store.position();
    create("a");
    create("b");
    create("c");
    execute("DELETE FROM sealwax_keysets_changes WHERE name = 'b'");
    assertFalse(store.changesAfter(start).complete());
    execute("UPDATE sealwax_keysets_changes SET change_number = 2 WHERE name = 'c'");
    assertTrue(store.changesAfter(start).complete());
    execute("UPDATE sealwax_keysets_changes SET name = 'Not A Name' WHERE name = 'c'");
    assertFalse(store.changesAfter(start).complete());
  }

  @Test
  void changes_ofLongAgo_arePrunedAndThenIncomplete() throws Exception {
    Position start = store.position();
    create("a");
    Position early = store.position();
    execute(
        "INSERT INTO sealwax_keysets_changes SELECT n, 'token' || n, 'n' || n"
            + " FROM generate_series(2, 10199) AS n");
    assertTrue(store.changesAfter(early).complete());
    assertEquals(10_198, store.changesAfter(early).written().size());
    create("b"); // number 10,200
    assertEquals(
        ChangeLog.KEPT,
        PostgresServer.number(database, "SELECT count(*) - 1 FROM sealwax_keysets_changes"));
    assertFalse(store.changesAfter(early).complete());
    assertFalse(store.changesAfter(start).complete(), "row 0 stays, and proves nothing");
    Changes kept = store.changesAfter(new Position("201:token201"));
    assertTrue(kept.complete());
    assertEquals(ChangeLog.KEPT - 1, kept.written().size());
  }

  @Test
  void rowZeroMissing_isInaccessible() throws Exception {
    execute("DELETE FROM sealwax_keysets_changes");
    for (Executable call :
        List.<Executable>of(
            () -> create("a"), () -> store.position(), () -> JdbcKeysetStore.open(database))) {
      KeysetStoreException failure = assertThrows(KeysetStoreException.class, call);
      assertEquals(Reason.INACCESSIBLE, failure.reason());
      assertTrue(failure.getMessage().contains("row 0"), failure.getMessage());
    }
    assertTrue(store.load(A).isEmpty());
  }

  @Test
  void changesAfter_readsByIndex() throws Exception {
    execute(
        "INSERT INTO sealwax_keysets_changes SELECT n, 'token' || n, 'n' || n"
            + " FROM generate_series(1, 10000) AS n",
        "INSERT INTO sealwax_keysets SELECT 'k' || n, 1, '{}' FROM generate_series(1, 10000) AS n",
        "ANALYZE sealwax_keysets, sealwax_keysets_changes");
    KeysetTables tables = KeysetTables.named(KeysetTables.DEFAULT_NAME);
    for (String query :
        new String[] {
          tables.selectLastChange(),
          tables.selectChangesFrom().replace("?", "9999"),
          tables.selectNames().replaceFirst("\\?", "'k5'").replace("?", "1000"),
          tables.select().replace("?", "'k5'")
        }) {
      String plan = plan(query);
      assertTrue(plan.contains("Index"), plan);
      assertFalse(plan.contains("Seq Scan") || plan.contains("Sort"), plan);
    }
  }

  @Test
  void list_withNamesOrderedAsPeopleDo_isInaccessible() throws Exception {
    execute(
        "CREATE COLLATION people (provider = icu, locale = 'en-US-u-ka-shifted')",
        "ALTER TABLE sealwax_keysets ALTER COLUMN name TYPE varchar(64) COLLATE people");
    for (String name : new String[] {"a-c", "ab", "b"}) {
      create(name);
    }
    KeysetStoreException failure = assertThrows(KeysetStoreException.class, () -> store.list(10));
    assertEquals(Reason.INACCESSIBLE, failure.reason());
    assertTrue(failure.getMessage().contains("byte by byte"), failure.getMessage());
  }

  private JdbcSession writing() throws SQLException {
    JdbcSession session = JdbcSession.borrow(database, 30);
    session.beginWriting();
    return session;
  }

  private void create(String name) {
    store.create(new StoredKeyset(KeysetId.of(name), 1, "{}"));
  }

  private void execute(String... statements) throws SQLException {
    PostgresServer.execute(database, statements);
  }

  private String plan(String query) throws SQLException {
    StringBuilder plan = new StringBuilder();
    try (Connection connection = database.getConnection();
        Statement sql = connection.createStatement();
        ResultSet rows = sql.executeQuery("EXPLAIN " + query)) {
      while (rows.next()) {
        plan.append(rows.getString(1)).append('\n');
      }
    }
    return plan.toString();
  }
}
