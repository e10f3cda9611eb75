package dev.sealwax.kms.rewrap;

import java.io.IOException;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;

/**
 * The connections of a {@link JdbcEnvelopeSource}: as many as there are transactions at once,
 * opened at need and kept until {@link #close}. Safe for any thread.
 */
final class KeptConnections {
  /** What is done in a transaction. */
  interface Work<T> {
    T on(Connection connection) throws SQLException;
  }

  private final JdbcEnvelopeSource.Connections connections;
  private final Deque<Connection> idle = new ArrayDeque<>(); // guarded by itself
  private boolean closed; // guarded by idle

  KeptConnections(JdbcEnvelopeSource.Connections connections) {
    this.connections = connections;
  }

  /**
   * Does something in one transaction, or in several if it commits before its end; a connection
   * that fails is not used again.
   *
   * @throws IllegalStateException if this is closed, or the database refuses the statement
   * @throws IOException if the database fails
   */
  <T> T inTransaction(Work<T> work) throws IOException {
    try {
      Connection connection = take();
      boolean done = false;
      try {
        T result = work.on(connection);
        connection.commit();
        done = true;
        return result;
      } finally {
        if (done) {
          giveBack(connection);
        } else {
          discard(connection);
        }
      }
    } catch (SQLException e) {
      throw SqlFailure.of(e);
    }
  }

  private Connection take() throws SQLException {
    synchronized (idle) {
      if (closed) {
        throw new IllegalStateException("the source is closed");
      }
      Connection connection = idle.poll();
      if (connection != null) {
        return connection;
      }
    }
    Connection connection = connections.open();
    boolean ready = false;
    try {
      connection.setAutoCommit(false);
      ready = true;
      return connection;
    } finally {
      if (!ready) {
        discard(connection);
      }
    }
  }

  private void giveBack(Connection connection) {
    synchronized (idle) {
      if (!closed) {
        idle.push(connection);
        return;
      }
    }
    try {
      letGo(connection);
    } catch (SQLException e) {
      // What was done is committed, and must not be reported as failed.
    }
  }

  /** A pool lends it to others, who expect it as it was. */
  private static void letGo(Connection connection) throws SQLException {
    try (connection) {
      connection.setAutoCommit(true);
    }
  }

  private static void discard(Connection connection) {
    try (connection) {
      connection.rollback();
      connection.setAutoCommit(true);
    } catch (SQLException e) {
      // It has failed already, and that is being reported.
    }
  }

  /**
   * Gives back the connections that nobody uses; the others go when their transactions end.
   *
   * @throws IOException if one cannot be closed
   */
  void close() throws IOException {
    List<Connection> open;
    synchronized (idle) {
      closed = true;
      open = List.copyOf(idle);
      idle.clear();
    }
    IOException failure = null;
    for (Connection connection : open) {
      try {
        letGo(connection);
      } catch (SQLException e) {
        if (failure == null) {
          failure = new IOException("a connection cannot be closed", e);
        } else {
          failure.addSuppressed(e);
        }
      }
    }
    if (failure != null) {
      throw failure;
    }
  }
}
