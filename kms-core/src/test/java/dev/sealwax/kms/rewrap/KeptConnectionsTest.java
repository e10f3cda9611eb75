package dev.sealwax.kms.rewrap;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** A pool gets back every connection, and each as it was. */
final class KeptConnectionsTest {
  private final SQLException fault = new SQLException("scripted fault");

  private final List<String> calls = new ArrayList<>();
  private Set<String> failing = Set.of();
  private final KeptConnections connections = new KeptConnections(this::connection);

  /** Writes down what is asked of it, and fails where the test says so. */
  private Connection connection() {
    return (Connection)
        Proxy.newProxyInstance(
            getClass().getClassLoader(),
            new Class<?>[] {Connection.class},
            (proxy, method, arguments) -> {
              String call =
                  method.getName().equals("setAutoCommit")
                      ? "autoCommit " + arguments[0]
                      : method.getName();
              calls.add(call);
              if (failing.contains(call)) {
                throw fault;
              }
              return null;
            });
  }

  private static String work(Connection connection) {
    return "result";
  }

  private String closing(Connection connection) throws SQLException {
    try {
      connections.close();
    } catch (IOException e) {
      throw new SQLException(e);
    }
    return work(connection);
  }

  private String anotherBeside(Connection connection) throws SQLException {
    try {
      return connections.inTransaction(KeptConnectionsTest::work);
    } catch (IOException e) {
      throw new SQLException(e);
    }
  }

  @Test
  void transaction_keepsItsConnectionUntilTheEnd() throws Exception {
    assertEquals("result", connections.inTransaction(KeptConnectionsTest::work));
    assertEquals("result", connections.inTransaction(KeptConnectionsTest::work));
    assertEquals(List.of("autoCommit false", "commit", "commit"), calls);
    connections.close();
    assertEquals(List.of("autoCommit true", "close"), calls.subList(3, calls.size()));
  }

  @Test
  void transactionThatFails_givesItsConnectionBackAsItWas() {
    IllegalArgumentException failure = new IllegalArgumentException();
    assertSame(
        failure,
        assertThrows(
            IllegalArgumentException.class,
            () ->
                connections.inTransaction(
                    connection -> {
                      throw failure;
                    })));
    assertEquals(List.of("autoCommit false", "rollback", "autoCommit true", "close"), calls);
  }

  @Test
  void transactionThatEndsAfterTheClose_givesItsConnectionBackAsItWas() throws Exception {
    connections.inTransaction(this::closing);
    assertEquals(List.of("autoCommit false", "commit", "autoCommit true", "close"), calls);
  }

  @Test
  void connectionThatCannotBeUsed_isGivenBack() {
    failing = Set.of("autoCommit false");
    assertThrows(IOException.class, () -> connections.inTransaction(KeptConnectionsTest::work));
    assertEquals("close", calls.get(calls.size() - 1));
  }

  @Test
  void connectionThatCannotBeReset_isGivenBackAllTheSame() throws Exception {
    connections.inTransaction(this::anotherBeside);
    failing = Set.of("autoCommit true");
    IOException failure = assertThrows(IOException.class, connections::close);
    assertSame(fault, failure.getCause());
    assertEquals(2, calls.stream().filter("close"::equals).count());
  }

  @Test
  void transactionWhoseConnectionCannotBeReset_isCommittedAllTheSame() throws Exception {
    failing = Set.of("autoCommit true");
    assertEquals("result", connections.inTransaction(this::closing));
    assertEquals(List.of("autoCommit false", "commit", "autoCommit true", "close"), calls);
  }
}
