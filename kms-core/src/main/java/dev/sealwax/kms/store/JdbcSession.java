package dev.sealwax.kms.store;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import javax.sql.DataSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One connection of the application's data source, borrowed for one operation and given back as it
 * came: rolled back or committed, with its own autocommit, isolation and query timeout. Given back
 * it is whatever driver and pool throw, which is not always an {@link SQLException}.
 *
 * <p>Used by one thread, and ended by exactly one of {@link #giveBack} and {@link #giveUp}.
 */
final class JdbcSession {
  private static final Logger LOG = LoggerFactory.getLogger(JdbcSession.class);

  /** What becomes of the rows of a query. */
  interface Rows<T> {
    T read(ResultSet rows) throws SQLException;
  }

  /** The commit failed without the database saying that it undid the transaction. */
  static final class UnknownOutcomeException extends SQLException {
    private static final long serialVersionUID = 1L;

    UnknownOutcomeException(SQLException cause) {
      super(cause.getMessage(), cause.getSQLState(), cause.getErrorCode(), cause);
    }
  }

  private interface Use<T> {
    T of(PreparedStatement statement) throws SQLException;
  }

  private final Connection connection;
  private final int timeoutSeconds;
  private int isolationBefore = Connection.TRANSACTION_READ_COMMITTED;
  private boolean autoCommitTurnedOff;
  private boolean inTransaction;

  private JdbcSession(Connection connection, int timeoutSeconds) {
    this.connection = connection;
    this.timeoutSeconds = timeoutSeconds;
  }

  static JdbcSession borrow(DataSource dataSource, int timeoutSeconds) throws SQLException {
    try {
      return new JdbcSession(dataSource.getConnection(), timeoutSeconds);
    } catch (RuntimeException e) {
      // Pools that are closed, exhausted or cannot start are not of one mind about the type.
      throw new SQLException("the data source gave no connection: " + e.getMessage(), e);
    }
  }

  /**
   * Begins reading statements, each of which sees what was committed before it; they need no
   * transaction, but have one where the pool turns autocommit off.
   */
  void beginReading() throws SQLException {
    if (!connection.getAutoCommit()) {
      // A pool that tries its connections by a query leaves a transaction open, whose snapshot may
      // be as old as that, and in which the isolation could not be changed.
      inTransaction = true;
      connection.rollback();
      readCommitted();
    }
  }

  /** Begins a transaction in which each statement sees what was committed before it. */
  void beginWriting() throws SQLException {
    beginReading();
    if (!inTransaction) {
      readCommitted();
      inTransaction = true;
      autoCommitTurnedOff = true;
      connection.setAutoCommit(false);
    }
  }

  private void readCommitted() throws SQLException {
    int isolation = isolation();
    if (isolation != Connection.TRANSACTION_READ_COMMITTED) {
      // Noted first, as above: should the driver change the mode and then fail, it is put back.
      isolationBefore = isolation;
      connection.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
    }
  }

  // An H2 that serves other processes looks for the answer among all sessions, and fails if it
  // meets one that just ends its transaction. Asking changes nothing, so it is done once more; what
  // counts is the first failure, because a connection that is lost says less each time.
  private int isolation() throws SQLException {
    try {
      return connection.getTransactionIsolation();
    } catch (SQLException first) {
      try {
        return connection.getTransactionIsolation();
      } catch (SQLException | RuntimeException again) {
        add(again, first);
        throw first;
      }
    }
  }

  /**
   * Commits.
   *
   * @throws UnknownOutcomeException if the transaction may or may not have taken effect
   * @throws SQLException if the database has undone it
   */
  void commit() throws SQLException {
    try {
      connection.commit();
      inTransaction = false;
    } catch (SQLException e) {
      if (SqlStates.isRolledBack(e) || SqlStates.isConstraint(e)) {
        throw e;
      }
      throw new UnknownOutcomeException(e);
    } catch (RuntimeException e) {
      throw new UnknownOutcomeException(unchecked(e));
    }
  }

  /** An unchecked exception of driver or pool, as one that says nothing about its cause. */
  static SQLException unchecked(RuntimeException e) {
    return new SQLException("the driver failed: " + e, e);
  }

  <T> T query(String sql, Rows<T> rows, Object... parameters) throws SQLException {
    return run(
        sql,
        statement -> {
          try (ResultSet found = statement.executeQuery()) {
            return rows.read(found);
          }
        },
        parameters);
  }

  /** Returns the number of rows changed. */
  int update(String sql, Object... parameters) throws SQLException {
    return run(sql, PreparedStatement::executeUpdate, parameters);
  }

  /** Runs statements that have no parameters and return nothing. */
  void script(String sql) throws SQLException {
    try (Statement statement = connection.createStatement()) {
      statement.execute(sql);
    }
  }

  /** What the driver calls its database. */
  String productName() throws SQLException {
    return connection.getMetaData().getDatabaseProductName();
  }

  private <T> T run(String sql, Use<T> use, Object... parameters) throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(sql);
        QueryTimeout timeout = QueryTimeout.of(statement)) {
      timeout.set(timeoutSeconds);
      for (int i = 0; i < parameters.length; i++) {
        statement.setObject(i + 1, parameters[i]);
      }
      return use.of(statement);
    }
  }

  /** Ends an operation that succeeded; what fails from here on does not change its result. */
  void giveBack() {
    try {
      restore();
    } catch (SQLException | RuntimeException e) {
      LOG.debug("a connection of the keyset store could not be given back as it was", e);
      abort(e);
    } finally {
      close();
    }
  }

  /** Ends an operation that failed; what else fails is added to {@code failure}. */
  void giveUp(Throwable failure) {
    try {
      restore();
    } catch (SQLException | RuntimeException e) {
      add(e, failure);
      abort(failure);
    } finally {
      close(failure);
    }
  }

  // The rollback comes first and ends this method if it fails: turning autocommit on would commit
  // what is left of the transaction.
  private void restore() throws SQLException {
    if (inTransaction) {
      connection.rollback();
      inTransaction = false;
    }
    if (isolationBefore != Connection.TRANSACTION_READ_COMMITTED) {
      connection.setTransactionIsolation(isolationBefore);
    }
    if (autoCommitTurnedOff) {
      connection.setAutoCommit(true);
    }
  }

  // A connection in an unknown state must not serve the next user of a pool.
  private void abort(Throwable failure) {
    try {
      connection.abort(Runnable::run);
    } catch (SQLException | RuntimeException e) {
      add(e, failure);
    }
  }

  private void close(Throwable failure) {
    try {
      connection.close();
    } catch (SQLException | RuntimeException e) {
      add(e, failure);
    }
  }

  private void close() {
    try {
      connection.close();
    } catch (SQLException | RuntimeException e) {
      LOG.debug("a connection of the keyset store could not be closed", e);
    }
  }

  // A driver may throw one exception twice, which Java does not add to itself.
  private static void add(Exception more, Throwable failure) {
    if (more != failure) {
      failure.addSuppressed(more);
    }
  }

  /**
   * Sets a statement's time limit for the time of its use. H2 keeps one limit for the whole
   * connection, which the application would otherwise find in its pool.
   */
  private record QueryTimeout(Statement statement, int before) implements AutoCloseable {
    static QueryTimeout of(Statement statement) throws SQLException {
      return new QueryTimeout(statement, statement.getQueryTimeout());
    }

    void set(int seconds) throws SQLException {
      statement.setQueryTimeout(seconds);
    }

    @Override
    public void close() throws SQLException {
      if (before != statement.getQueryTimeout()) {
        statement.setQueryTimeout(before);
      }
    }
  }
}
