package dev.sealwax.kms.rewrap;

import java.io.IOException;
import java.sql.SQLException;

/**
 * What a failure of a database is about, by the class of its SQLSTATE: one row, the statement, or
 * (whatever is not known) the database as a whole, for whose sake no row may be blamed.
 */
final class SqlFailure {
  private static final int H2_TRIGGER_FAILED = 90044;

  private SqlFailure() {}

  /** Whether one row is the reason: its data, a constraint, a trigger. */
  static boolean isOfOneRow(SQLException e) {
    String state = e.getSQLState();
    if (state == null || state.length() != 5) {
      return false;
    }
    return e.getErrorCode() == H2_TRIGGER_FAILED
        || switch (state.substring(0, 2)) {
          case "09", "22", "23", "27", "44", "P0" -> true;
          default -> false;
        };
  }

  /**
   * The failure in the terms of {@link EnvelopeSource}. Messages of databases may quote data, so
   * ours names the state only; the cause has the rest.
   *
   * @throws IllegalStateException if the statement is refused, which waiting does not mend
   */
  static IOException of(SQLException e) {
    String state = String.valueOf(e.getSQLState());
    if (state.startsWith("42") || state.equals("25006")) {
      throw new IllegalStateException(
          "the database refuses the statement, SQLSTATE "
              + state
              + "; check names, types and permissions",
          e);
    }
    return new IOException("the database failed, SQLSTATE " + state, e);
  }
}
