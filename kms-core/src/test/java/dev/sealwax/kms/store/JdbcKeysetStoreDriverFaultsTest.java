package dev.sealwax.kms.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.store.FaultyDriver.Mode;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import dev.sealwax.kms.vocabulary.KeysetStoreException.Reason;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Stream;
import javax.sql.DataSource;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/**
 * Fails every call that an operation makes to the driver, one at a time and in each way, and looks
 * at what is left: a typed failure or the right answer, the old or the new keyset with its change
 * recorded if and only if it is the new one, and connections given back as they were.
 */
final class JdbcKeysetStoreDriverFaultsTest {
  private static final KeysetId ORDERS = KeysetStoreChild.ORDERS;
  private static final KeysetId OTHER = KeysetId.of("other");
  private static final StoredKeyset FIRST = KeysetStoreChild.keyset(1, 10);
  private static final StoredKeyset SECOND = KeysetStoreChild.keyset(2, 10);
  private static final String ASK = "Connection.getTransactionIsolation";

  // One database for all runs; each starts from tables emptied by SQL, which is quicker than new
  // ones.
  private static final DataSource DATABASE = H2.inMemory();

  static {
    JdbcKeysetStore.createTables(DATABASE);
  }

  @AfterAll
  static void shutDown() throws SQLException {
    PostgresServer.execute(DATABASE, "SHUTDOWN");
  }

  /** One operation: what it does, what is stored before, and what a success returns. */
  private record Operation(
      String name,
      boolean writes,
      Optional<StoredKeyset> before,
      Function<JdbcKeysetStore, Object> call,
      Object expected) {
    @Override
    public String toString() {
      return name;
    }
  }

  private static List<Operation> operations() {
    return List.of(
        new Operation(
            "create",
            true,
            Optional.empty(),
            store -> {
              store.create(FIRST);
              return FIRST;
            },
            FIRST),
        new Operation(
            "replace",
            true,
            Optional.of(FIRST),
            store -> {
              store.replace(SECOND);
              return SECOND;
            },
            SECOND),
        new Operation("load", false, Optional.of(FIRST), s -> s.load(ORDERS), Optional.of(FIRST)),
        new Operation("list", false, Optional.of(FIRST), s -> s.list(10), List.of(ORDERS, OTHER)),
        new Operation(
            "listAfter", false, Optional.of(FIRST), s -> s.listAfter(ORDERS, 1), List.of(OTHER)),
        new Operation(
            "position", false, Optional.of(FIRST), s -> s.position().value().substring(0, 2), "2:"),
        new Operation(
            "changesAfter",
            false,
            Optional.of(FIRST),
            s -> s.changesAfter(start()).written(),
            Set.of(ORDERS, OTHER)));
  }

  private static WatchableKeysetStore.Position start() {
    return new WatchableKeysetStore.Position("0:start");
  }

  private static void reset(Operation operation) throws SQLException {
    PostgresServer.execute(
        DATABASE,
        "DELETE FROM sealwax_keysets",
        "DELETE FROM sealwax_keysets_changes WHERE change_number > 0",
        "UPDATE sealwax_keysets_changes SET token = 'start'");
    try (JdbcKeysetStore store = JdbcKeysetStore.open(DATABASE)) {
      store.create(new StoredKeyset(OTHER, 1, "{}"));
      operation.before.ifPresent(store::create);
    }
  }

  @TestFactory
  Stream<DynamicTest> anyCall_failing_isTypedAndLosesNothing() throws SQLException {
    List<DynamicTest> tests = new ArrayList<>();
    for (Operation operation : operations()) {
      int calls = callsOf(operation);
      assertTrue(calls >= 9, () -> operation + " makes only " + calls + " calls");
      for (Mode mode : Mode.values()) {
        tests.add(
            DynamicTest.dynamicTest(
                operation + ", each of " + calls + " calls fails " + mode,
                () -> {
                  for (int at = 0; at < calls; at++) {
                    check(operation, driver(at, mode, at % 2 == 0 ? "08006" : null), mode);
                  }
                }));
        tests.add(
            DynamicTest.dynamicTest(
                operation + ", each of " + calls + " calls fails unchecked " + mode,
                () -> {
                  for (int at = 0; at < calls; at++) {
                    check(operation, driver(at, mode, null).withUncheckedExceptions(), mode);
                  }
                }));
      }
    }
    return tests.stream();
  }

  @TestFactory
  Stream<DynamicTest> anyCall_failingWithoutAutoCommit_isTypedAndLosesNothing() {
    DataSource unusual = withoutAutoCommit();
    List<DynamicTest> tests = new ArrayList<>();
    for (Operation operation : operations()) {
      for (Mode mode : Mode.values()) {
        tests.add(
            DynamicTest.dynamicTest(
                operation + " " + mode,
                () -> {
                  reset(operation);
                  FaultyDriver dry = new FaultyDriver(unusual, -1, mode, "");
                  assertEquals(operation.expected, run(operation, dry));
                  requireAllGivenBack(dry);
                  for (int at = 0; at < dry.calls().size(); at++) {
                    check(operation, new FaultyDriver(unusual, at, mode, "08006"), mode);
                  }
                }));
      }
    }
    return tests.stream();
  }

  /** Connections as a pool may set them up. */
  private static DataSource withoutAutoCommit() {
    return ConnectionPool.lending(
        () -> {
          Connection connection = DATABASE.getConnection();
          connection.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
          connection.setAutoCommit(false);
          return connection;
        });
  }

  @TestFactory
  Stream<DynamicTest> anyCall_undoneByTheDatabase_isTriedAgain() throws SQLException {
    List<DynamicTest> tests = new ArrayList<>();
    for (Operation operation : operations()) {
      int calls = callsOf(operation);
      tests.add(
          DynamicTest.dynamicTest(
              operation.toString(),
              () -> {
                for (int at = 0; at < calls; at++) {
                  reset(operation);
                  FaultyDriver driver = driver(at, Mode.BEFORE, "40001");
                  Object result = run(operation, driver);
                  assertEquals(operation.expected, result, driver::failedCall);
                  requireAllGivenBack(driver);
                  requireStored(operation, true, driver.failedCall());
                }
              }));
    }
    return tests.stream();
  }

  /** H2 now and then fails to tell it, because of what another session does. */
  @Test
  void isolationThatIsNotTold_isAskedForOnceMore() throws SQLException {
    for (DataSource source : List.of(DATABASE, withoutAutoCommit())) {
      for (Operation operation : operations()) {
        reset(operation);
        FaultyDriver dry = new FaultyDriver(source, -1, Mode.BEFORE, "");
        run(operation, dry);
        int ask = new ArrayList<>(dry.calls()).indexOf(ASK);
        boolean asks = operation.writes || source != DATABASE;
        assertEquals(asks, ask >= 0, operation::toString);
        if (asks) {
          reset(operation);
          FaultyDriver driver = new FaultyDriver(source, ask, Mode.BEFORE, "HY000");
          assertEquals(operation.expected, run(operation, driver));
          assertEquals(2, Collections.frequency(new ArrayList<>(driver.calls()), ASK));
          requireAllGivenBack(driver);
          requireStored(operation, true, ASK);
        }
      }
    }
  }

  /** A pool may say of a lost connection only that it is closed, once it has told why. */
  @Test
  void isolationThatIsNotToldTwice_failsWithTheFirstReason() throws SQLException {
    List<SQLException> failures = new ArrayList<>();
    failures.add(new SQLException("terminated by administrator", "57P01"));
    failures.add(new SQLException("connection is closed"));
    List<SQLException> thrown = List.copyOf(failures);
    DataSource lost =
        ConnectionPool.lending(
            () -> {
              Connection connection = DATABASE.getConnection();
              return (Connection)
                  Proxy.newProxyInstance(
                      getClass().getClassLoader(),
                      new Class<?>[] {Connection.class},
                      (self, call, values) -> {
                        if (call.getName().equals("getTransactionIsolation")) {
                          throw failures.remove(0);
                        }
                        return call.invoke(connection, values);
                      });
            });
    Operation replace = operations().get(1);
    reset(replace);
    KeysetStoreException failure =
        assertThrows(KeysetStoreException.class, () -> storeOn(lost).replace(SECOND));
    assertEquals(Reason.UNAVAILABLE, failure.reason());
    assertSame(thrown.get(0), failure.getCause());
    assertEquals(List.of(thrown.get(1)), List.of(failure.getCause().getSuppressed()));
    requireStored(replace, false, ASK);
  }

  @TestFactory
  Stream<DynamicTest> anyCall_failingAndThenTheRollback_writesNothing() throws SQLException {
    List<DynamicTest> tests = new ArrayList<>();
    for (Operation operation : operations()) {
      int calls = callsOf(operation);
      tests.add(
          DynamicTest.dynamicTest(
              operation.toString(),
              () -> {
                for (int at = 0; at < calls; at++) {
                  FaultyDriver driver = driver(at, Mode.BEFORE, "57014").withoutRollback();
                  check(operation, driver, Mode.BEFORE);
                  driver = driver(at, Mode.BEFORE, null).withoutRollback();
                  check(operation, driver.withUncheckedExceptions(), Mode.BEFORE);
                }
              }));
    }
    return tests.stream();
  }

  @Test
  void deadlockWithoutEnd_isUnavailable() throws SQLException {
    Operation replace = operations().get(1);
    reset(replace);
    DataSource alwaysUndone =
        ConnectionPool.lending(
            () -> {
              throw new SQLException("deadlock", "40P01");
            });
    KeysetStoreException failure =
        assertThrows(KeysetStoreException.class, () -> storeOn(alwaysUndone).replace(SECOND));
    assertEquals(Reason.UNAVAILABLE, failure.reason());
    requireStored(replace, false, "getConnection");
  }

  @Test
  void poolThatThrowsSomethingElse_isUnavailable() {
    DataSource closed =
        ConnectionPool.lending(
            () -> {
              throw new IllegalStateException("pool is shut down");
            });
    KeysetStoreException failure =
        assertThrows(KeysetStoreException.class, () -> storeOn(closed).load(ORDERS));
    assertEquals(Reason.UNAVAILABLE, failure.reason());
    assertTrue(failure.getMessage().contains("pool is shut down"), failure.getMessage());
  }

  @Test
  void failedRollback_isKeptBesideTheFailure() throws SQLException {
    Operation replace = operations().get(1);
    reset(replace);
    int update =
        new ArrayList<>(dryRun(replace).calls()).indexOf("PreparedStatement.executeUpdate");
    FaultyDriver driver = driver(update, Mode.LOST_BEFORE, "08006");
    KeysetStoreException failure =
        assertThrows(KeysetStoreException.class, () -> run(replace, driver));
    Throwable cause = failure.getCause();
    // The timeout that could not be put back, the statement, the rollback, the abort, the close.
    assertEquals(5, cause.getSuppressed().length, () -> Arrays.toString(cause.getSuppressed()));
  }

  @Test
  void uncheckedFailureOfTheCommit_isOfUnknownOutcomeAndEndsWaits() throws Exception {
    Operation create = operations().get(0);
    reset(create);
    int commit = new ArrayList<>(dryRun(create).calls()).indexOf("Connection.commit");
    reset(create);
    FaultyDriver driver = driver(commit, Mode.AFTER, null).withUncheckedExceptions();
    JdbcKeysetStore store = storeOn(driver.dataSource());
    KeysetStoreException failure =
        assertThrows(KeysetStoreException.class, () -> store.create(FIRST));
    assertTrue(failure.getMessage().contains("load it again to see"), failure.getMessage());
    assertTimeoutPreemptively(
        Duration.ofSeconds(30), () -> store.awaitWrite(Duration.ofMinutes(10)));
    assertEquals(Optional.of(FIRST), store.load(ORDERS));
  }

  /** Some pools throw a failure that they keep. */
  @Test
  void oneExceptionForEveryCall_isKeptOnce() throws SQLException {
    for (Exception kept : List.of(new SQLException("gone"), new IllegalStateException("gone"))) {
      Operation replace = operations().get(1);
      reset(replace);
      List<String> calls = new ArrayList<>();
      Connection gone =
          (Connection)
              Proxy.newProxyInstance(
                  getClass().getClassLoader(),
                  new Class<?>[] {Connection.class},
                  (proxy, method, arguments) -> {
                    calls.add(method.getName());
                    if (calls.size() == 1) {
                      return false; // autocommit is off, so that there is something to roll back
                    }
                    throw kept;
                  });
      DataSource source = ConnectionPool.lending(() -> gone);
      KeysetStoreException failure =
          assertThrows(KeysetStoreException.class, () -> storeOn(source).replace(SECOND));
      assertEquals(Reason.UNAVAILABLE, failure.reason());
      assertEquals(List.of("getAutoCommit", "rollback", "rollback", "abort", "close"), calls);
    }
  }

  private static void check(Operation operation, FaultyDriver driver, Mode mode)
      throws SQLException {
    reset(operation);
    Object result;
    try {
      result = run(operation, driver);
    } catch (KeysetStoreException e) {
      assertEquals(Reason.UNAVAILABLE, e.reason());
      assertTrue(e.getCause() instanceof SQLException, e::toString);
      result = null;
    }
    String failed = driver.failedCall();
    requireAllGivenBack(driver);
    boolean committed =
        !failed.equals("Connection.commit") || mode == Mode.AFTER || mode == Mode.LOST_AFTER;
    if (result != null) {
      assertEquals(operation.expected, result, failed);
      requireStored(operation, true, failed);
    } else {
      boolean unknown = failed.equals("Connection.commit") && operation.writes;
      requireStored(operation, unknown && committed, failed);
    }
  }

  private static void requireStored(Operation operation, boolean done, String failed) {
    try (JdbcKeysetStore store = JdbcKeysetStore.open(DATABASE)) {
      boolean written = done && operation.writes;
      Optional<StoredKeyset> expected =
          written ? Optional.of((StoredKeyset) operation.expected) : operation.before;
      assertEquals(expected, store.load(ORDERS), failed);
      int changes = 1 + (operation.before.isPresent() ? 1 : 0) + (written ? 1 : 0);
      String position = store.position().value();
      assertEquals(Integer.toString(changes), position.substring(0, position.indexOf(':')), failed);
    }
  }

  private static void requireAllGivenBack(FaultyDriver driver) {
    assertEquals(0, driver.open(), () -> "connections left open, failed " + driver.failedCall());
    assertEquals(List.of(), driver.broken(), driver::failedCall);
  }

  private static int callsOf(Operation operation) throws SQLException {
    reset(operation);
    return dryRun(operation).calls().size();
  }

  private static FaultyDriver dryRun(Operation operation) {
    FaultyDriver driver = driver(-1, Mode.BEFORE, "");
    assertEquals(operation.expected, run(operation, driver));
    requireAllGivenBack(driver);
    return driver;
  }

  private static FaultyDriver driver(int failAt, Mode mode, String state) {
    return new FaultyDriver(DATABASE, failAt, mode, state);
  }

  private static Object run(Operation operation, FaultyDriver driver) {
    return operation.call.apply(storeOn(driver.dataSource()));
  }

  /** A store that is open already, so that the first call of the driver is the operation's. */
  private static JdbcKeysetStore storeOn(DataSource source) {
    DataSource[] target = {DATABASE};
    DataSource switched = ConnectionPool.lending(() -> target[0].getConnection());
    JdbcKeysetStore store = JdbcKeysetStore.open(switched);
    target[0] = source;
    return store;
  }

  @Test
  void open_withAnyCallFailing_isTyped() throws SQLException {
    FaultyDriver dry = driver(-1, Mode.BEFORE, "");
    JdbcKeysetStore.open(dry.dataSource()).close();
    for (Mode mode : Mode.values()) {
      for (int at = 0; at < dry.calls().size(); at++) {
        requireTypedFailureOfOpen(driver(at, mode, "08006"));
        requireTypedFailureOfOpen(driver(at, mode, null).withUncheckedExceptions());
      }
    }
  }

  private static void requireTypedFailureOfOpen(FaultyDriver driver) {
    try {
      JdbcKeysetStore.open(driver.dataSource()).close();
    } catch (KeysetStoreException e) {
      assertEquals(Reason.UNAVAILABLE, e.reason());
    }
    requireAllGivenBack(driver);
  }

  @Test
  void queryTimeout_isTheConnectionsOwnAgainAfterwards() throws SQLException {
    try (java.sql.Connection connection = DATABASE.getConnection();
        java.sql.Statement before = connection.createStatement()) {
      before.setQueryTimeout(77); // H2: for the whole connection
      DataSource one = ConnectionPool.lending(() -> uncloseable(connection));
      reset(operations().get(1));
      JdbcKeysetStore store = JdbcKeysetStore.open(one);
      store.replace(SECOND);
      assertThrows(
          dev.sealwax.kms.vocabulary.KeysetConflictException.class, () -> store.create(FIRST));
      try (java.sql.Statement after = connection.createStatement()) {
        assertEquals(77, after.getQueryTimeout());
      }
      assertNull(connection.getWarnings());
    }
  }

  private static java.sql.Connection uncloseable(java.sql.Connection connection) {
    return (java.sql.Connection)
        Proxy.newProxyInstance(
            JdbcKeysetStoreDriverFaultsTest.class.getClassLoader(),
            new Class<?>[] {java.sql.Connection.class},
            (proxy, method, arguments) -> {
              try {
                return method.getName().equals("close")
                    ? null
                    : method.invoke(connection, arguments);
              } catch (java.lang.reflect.InvocationTargetException e) {
                throw e.getCause();
              }
            });
  }
}
