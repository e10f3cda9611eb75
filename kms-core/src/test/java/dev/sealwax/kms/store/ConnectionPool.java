package dev.sealwax.kms.store;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Deque;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import javax.sql.DataSource;

/**
 * A small pool for tests, which resets nothing and forgives nothing: a connection must come back as
 * it was lent, once, or broken.
 */
public final class ConnectionPool implements AutoCloseable {
  private final DataSource source;
  private final Deque<Connection> idle = new ConcurrentLinkedDeque<>();
  private final AtomicInteger lent = new AtomicInteger();
  private final boolean autoCommit;
  private final int isolation;

  private ConnectionPool(DataSource source, boolean autoCommit, int isolation) {
    this.source = source;
    this.autoCommit = autoCommit;
    this.isolation = isolation;
  }

  public static ConnectionPool of(DataSource source) {
    return of(source, true, Connection.TRANSACTION_READ_COMMITTED);
  }

  /** A pool whose connections are set up in an unusual way. */
  static ConnectionPool of(DataSource source, boolean autoCommit, int isolation) {
    return new ConnectionPool(source, autoCommit, isolation);
  }

  DataSource dataSource() {
    return lending(this::lend);
  }

  /** One whose connections work in a schema. */
  public DataSource inSchema(String name) {
    return lending(
        () -> {
          Connection connection = lend();
          try {
            connection.setSchema(name);
            return connection;
          } catch (SQLException e) {
            connection.close();
            throw e;
          }
        });
  }

  /** What a data source does when it is asked for a connection. */
  interface Lender {
    Connection lend() throws SQLException;
  }

  /** A data source that can do nothing else. */
  static DataSource lending(Lender lender) {
    return (DataSource)
        Proxy.newProxyInstance(
            ConnectionPool.class.getClassLoader(),
            new Class<?>[] {DataSource.class},
            (proxy, method, arguments) -> {
              assertEquals("getConnection", method.getName());
              return lender.lend();
            });
  }

  /** Tries the idle connections by a query, as pools do in the background. */
  void validateIdle(String query) throws SQLException {
    for (Connection connection : idle) {
      try (Statement statement = connection.createStatement()) {
        statement.execute(query);
      }
    }
  }

  /** How many have not come back. */
  public int lent() {
    return lent.get();
  }

  private Connection lend() throws SQLException {
    Connection connection = idle.poll();
    if (connection == null) {
      connection = source.getConnection();
      connection.setTransactionIsolation(isolation);
      connection.setAutoCommit(autoCommit);
    }
    lent.incrementAndGet();
    return wrap(connection);
  }

  private Connection wrap(Connection connection) {
    AtomicBoolean back = new AtomicBoolean();
    return (Connection)
        Proxy.newProxyInstance(
            ConnectionPool.class.getClassLoader(),
            new Class<?>[] {Connection.class},
            (proxy, method, arguments) -> {
              assertEquals(false, back.get(), () -> method.getName() + " after close");
              if (method.getName().equals("close")) {
                back.set(true);
                takeBack(connection);
                return null;
              }
              try {
                return method.invoke(connection, arguments);
              } catch (InvocationTargetException e) {
                throw e.getCause();
              }
            });
  }

  private void takeBack(Connection connection) throws SQLException {
    lent.decrementAndGet();
    if (connection.isClosed()) {
      return;
    }
    assertEquals(autoCommit, connection.getAutoCommit(), "autocommit");
    assertEquals(isolation, connection.getTransactionIsolation(), "isolation");
    idle.push(connection);
  }

  @Override
  public void close() throws SQLException {
    assertEquals(0, lent.get(), "connections not given back");
    for (Connection connection : idle) {
      if (!autoCommit) {
        connection.rollback();
      }
      connection.close();
    }
  }
}
