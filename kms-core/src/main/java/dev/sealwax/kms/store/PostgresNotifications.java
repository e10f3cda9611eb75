package dev.sealwax.kms.store;

import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;

/**
 * The notifications that arrive on one connection: all there is in Sealwax of the PostgreSQL
 * driver, which an application brings or does without. Used by one thread.
 */
final class PostgresNotifications {
  private static final int VALID_SECONDS = 5;

  private final Connection connection;
  private final PGConnection driver;

  private PostgresNotifications(Connection connection, PGConnection driver) {
    this.connection = connection;
    this.driver = driver;
  }

  /**
   * Listens from now on.
   *
   * @param channel checked by {@link KeysetTables}
   * @throws SQLException if the connection fails, or is no connection of this driver
   */
  static PostgresNotifications listen(Connection connection, String channel) throws SQLException {
    PGConnection driver = connection.unwrap(PGConnection.class);
    if (!connection.getAutoCommit()) {
      connection.setAutoCommit(true); // a session in a transaction is told nothing
    }
    try (Statement statement = connection.createStatement()) {
      statement.execute("LISTEN \"" + channel + "\"");
    }
    return new PostgresNotifications(connection, driver);
  }

  /**
   * Waits for a notification; false if there was none, and the connection is still good.
   *
   * @throws SQLException if the connection failed or was aborted
   */
  boolean await(Duration timeout) throws SQLException {
    PGNotification[] received = driver.getNotifications(Math.toIntExact(timeout.toMillis()));
    if (received != null && received.length > 0) {
      return true;
    }
    if (!connection.isValid(VALID_SECONDS)) {
      throw new SQLException("the connection does not answer any more", "08006");
    }
    return false;
  }
}
