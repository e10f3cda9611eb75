package dev.sealwax.kms.rewrap;

import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;

/**
 * Whether a database keeps what it has committed when it, or its machine, stops the moment after.
 */
enum JdbcDurability {
  /** It does. */
  DURABLE,
  /** A PostgreSQL that does if told so in the transaction. */
  ON_REQUEST,
  /**
   * An H2 in a file that writes some time after the commit; only its administrator changes that.
   */
  DELAYED;

  static JdbcDurability of(Connection connection, EnvelopeTable.Database database)
      throws SQLException {
    return switch (database) {
      case POSTGRESQL ->
          ask(connection, "SELECT current_setting('synchronous_commit') = 'off'")
              ? ON_REQUEST
              : DURABLE;
      case H2 ->
          ask(
                  connection,
                  "SELECT DATABASE_PATH() IS NOT NULL AND EXISTS (SELECT 1 FROM"
                      + " INFORMATION_SCHEMA.SETTINGS WHERE SETTING_NAME = 'WRITE_DELAY' AND"
                      + " SETTING_VALUE <> '0')")
              ? DELAYED
              : DURABLE;
    };
  }

  private static boolean ask(Connection connection, String question) throws SQLException {
    try (Statement statement = connection.createStatement();
        ResultSet answer = statement.executeQuery(question)) {
      return answer.next() && answer.getBoolean(1);
    }
  }

  /**
   * Makes the commit of the transaction that begins durable.
   *
   * @throws IllegalStateException if that is not in our power
   */
  void beforeWriting(Connection connection) throws SQLException {
    switch (this) {
      case DURABLE -> {}
      case ON_REQUEST -> {
        try (Statement statement = connection.createStatement()) {
          statement.execute("SET LOCAL synchronous_commit TO on");
        }
      }
      case DELAYED ->
          throw new IllegalStateException(
              "this H2 database writes up to half a second after a commit, so that a checkpoint"
                  + " could be ahead of it; open it with ;WRITE_DELAY=0");
    }
  }
}
