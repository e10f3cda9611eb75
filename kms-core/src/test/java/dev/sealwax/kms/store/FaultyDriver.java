package dev.sealwax.kms.store;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import javax.sql.DataSource;

/**
 * A driver whose every call can be made to fail, around a real one; counts its calls and its open
 * connections. Used by one thread.
 */
final class FaultyDriver {
  /** How a call fails. */
  enum Mode {
    /** Without having been made. */
    BEFORE,
    /** Though it took effect. */
    AFTER,
    /** Without having been made, and so does every later call: the connection is gone. */
    LOST_BEFORE,
    /** Though it took effect, and then the connection was gone. */
    LOST_AFTER
  }

  private static final Set<Class<?>> WRAPPED =
      Set.of(
          Connection.class,
          PreparedStatement.class,
          Statement.class,
          ResultSet.class,
          DatabaseMetaData.class);

  private final DataSource real;
  private final String state;
  private final Mode mode;
  private final int failAt;
  private final List<String> calls = new ArrayList<>();
  private final List<String> broken = new ArrayList<>();
  private Connection current;
  private boolean rollbacksFail;
  private boolean unchecked;
  private boolean lost;
  private boolean autoCommit;
  private int isolation;
  private int open;

  /**
   * A driver that fails once.
   *
   * @param failAt the number of the failing call, from 0; -1 for none
   */
  FaultyDriver(DataSource real, int failAt, Mode mode, String state) {
    this.real = real;
    this.failAt = failAt;
    this.mode = mode;
    this.state = state;
  }

  /** Makes every rollback fail too, without having been made. */
  FaultyDriver withoutRollback() {
    rollbacksFail = true;
    return this;
  }

  /** Makes every failure an unchecked exception, as some drivers and pools do. */
  FaultyDriver withUncheckedExceptions() {
    unchecked = true;
    return this;
  }

  private Exception failure(String problem) {
    return unchecked ? new IllegalStateException(problem) : new SQLException(problem, state);
  }

  DataSource dataSource() {
    return (DataSource) wrap(DataSource.class, real);
  }

  /** Calls so far, by name. */
  List<String> calls() {
    return calls;
  }

  /** Connections nobody tried to close. */
  int open() {
    return open;
  }

  /** What was wrong with connections when they were closed. */
  List<String> broken() {
    return broken;
  }

  private Object wrap(Class<?> type, Object target) {
    return Proxy.newProxyInstance(
        FaultyDriver.class.getClassLoader(),
        new Class<?>[] {type},
        (proxy, method, arguments) -> call(type, target, method, arguments));
  }

  private Object call(Class<?> type, Object target, Method method, Object[] arguments)
      throws Throwable {
    boolean close = type == Connection.class && method.getName().equals("close");
    if (close) {
      open--;
      check((Connection) target);
    }
    boolean fails = calls.size() == failAt;
    calls.add(type.getSimpleName() + "." + method.getName());
    if (lost && type != DataSource.class) {
      throw failure("injected: the connection is gone");
    }
    if (fails && mode == Mode.LOST_BEFORE) {
      lose();
    }
    if (fails && (mode == Mode.BEFORE || mode == Mode.LOST_BEFORE)) {
      if (close) {
        ((Connection) target).close(); // nobody else could, and its locks would stay
      }
      throw failure("injected before " + method.getName());
    }
    if (rollbacksFail && method.getName().equals("rollback")) {
      throw failure("injected before rollback");
    }
    Object result = invoke(target, method, arguments);
    if (type == DataSource.class) {
      lost = false;
      current = (Connection) result;
      autoCommit = current.getAutoCommit();
      isolation = current.getTransactionIsolation();
    }
    if (fails && mode == Mode.LOST_AFTER) {
      lose();
    }
    if (fails) {
      if (type == DataSource.class) {
        ((Connection) result).close(); // a driver that throws gives nobody a connection
      }
      throw failure("injected after " + method.getName());
    }
    if (type == DataSource.class) {
      open++;
    }
    return result != null && WRAPPED.contains(method.getReturnType())
        ? wrap(method.getReturnType(), result)
        : result;
  }

  // As a database does when a client vanishes: what was not committed is undone.
  private void lose() throws SQLException {
    lost = true;
    if (current != null) {
      current.close();
    }
  }

  private void check(Connection connection) throws SQLException {
    if (connection.isClosed() || rollbacksFail) {
      return;
    }
    if (failedCall().matches("Connection\\.(rollback|set(AutoCommit|TransactionIsolation))")) {
      return; // perhaps aborted, which H2 takes no notice of
    }
    if (connection.getAutoCommit() != autoCommit) {
      broken.add("autocommit is " + !autoCommit);
    }
    if (connection.getTransactionIsolation() != isolation) {
      broken.add("isolation is not " + isolation);
    }
  }

  /** The name of the call that failed; empty if none has. */
  String failedCall() {
    return failAt >= 0 && failAt < calls.size() ? calls.get(failAt) : "";
  }

  private static Object invoke(Object target, Method method, Object[] arguments) throws Throwable {
    try {
      return method.invoke(target, arguments);
    } catch (InvocationTargetException e) {
      throw e.getCause();
    }
  }
}
