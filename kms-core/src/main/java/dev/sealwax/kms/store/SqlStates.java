package dev.sealwax.kms.store;

import dev.sealwax.kms.vocabulary.KeysetStoreException.Reason;
import java.sql.SQLException;
import java.sql.SQLFeatureNotSupportedException;
import java.sql.SQLIntegrityConstraintViolationException;
import java.sql.SQLInvalidAuthorizationSpecException;
import java.sql.SQLSyntaxErrorException;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What a database's failure means to a keyset store: the one place where SQLStates are read.
 *
 * <p>States are those of SQL:2016, PostgreSQL and H2. Whatever is unknown counts as unavailable,
 * the reason that makes callers look again instead of concluding something. Stateless.
 */
final class SqlStates {
  private static final int MAX_MESSAGE = 300;

  /** Whole classes that somebody has to mend, by the first two characters. */
  private static final Map<String, Reason> BY_CLASS =
      Map.ofEntries(
          Map.entry("08", Reason.UNAVAILABLE), // connection
          Map.entry("0A", Reason.INACCESSIBLE), // feature not supported: not a database for us
          Map.entry("22", Reason.INACCESSIBLE), // a column that does not hold our values
          Map.entry("28", Reason.INACCESSIBLE), // user or password
          Map.entry("3D", Reason.INACCESSIBLE), // no such database
          Map.entry("3F", Reason.INACCESSIBLE), // no such schema
          Map.entry("42", Reason.INACCESSIBLE), // privileges, missing or other tables, syntax
          Map.entry("53", Reason.UNAVAILABLE), // disk full, too many connections
          Map.entry("55", Reason.UNAVAILABLE), // lock timeout
          Map.entry("57", Reason.UNAVAILABLE), // cancelled (our timeout), shutting down, starting
          Map.entry("58", Reason.UNAVAILABLE), // I/O error of the server
          Map.entry("XX", Reason.UNAVAILABLE)); // internal error, damaged data

  /** States that differ from their class. */
  private static final Map<String, Reason> BY_STATE =
      Map.ofEntries(
          Map.entry("25006", Reason.INACCESSIBLE), // read-only: a replica, or set so
          Map.entry("57P04", Reason.INACCESSIBLE), // database dropped
          Map.entry("90013", Reason.INACCESSIBLE), // H2: no such database
          Map.entry("90079", Reason.INACCESSIBLE), // H2: no such schema
          Map.entry("90096", Reason.INACCESSIBLE), // H2: not enough rights
          Map.entry("90097", Reason.INACCESSIBLE), // H2: database is read-only
          Map.entry("90146", Reason.INACCESSIBLE)); // H2: no such database

  /** Serialization failure and deadlock: the database has undone the transaction. */
  private static final Set<String> ROLLED_BACK = Set.of("40001", "40P01");

  /** No such table: PostgreSQL, and H2 with and without a guess at what was meant. */
  private static final Set<String> NO_TABLE = Set.of("42P01", "42S02", "42S03", "42S04");

  /** A table that is to be created is there: PostgreSQL, H2. */
  private static final Set<String> EXISTING_TABLE = Set.of("42P07", "42S01");

  private SqlStates() {}

  /** Why the store could not serve the request. */
  static Reason reasonOf(SQLException e) {
    String state = stateOf(e);
    Reason reason = BY_STATE.get(state);
    if (reason == null && state.length() == 5) {
      reason = BY_CLASS.get(state.substring(0, 2));
    }
    return reason != null ? reason : reasonOfType(e);
  }

  // Drivers that leave out the state often choose the type well.
  private static Reason reasonOfType(SQLException e) {
    return e instanceof SQLSyntaxErrorException
            || e instanceof SQLInvalidAuthorizationSpecException
            || e instanceof SQLFeatureNotSupportedException
        ? Reason.INACCESSIBLE
        : Reason.UNAVAILABLE;
  }

  /**
   * Whether the database says that it has undone the whole transaction, so that it may be redone.
   */
  static boolean isRolledBack(SQLException e) {
    return ROLLED_BACK.contains(stateOf(e));
  }

  /** Whether a row contradicts a constraint: for an insert, that its key is there already. */
  static boolean isConstraint(SQLException e) {
    return stateOf(e).startsWith("23") || e instanceof SQLIntegrityConstraintViolationException;
  }

  /** Whether a table is missing. */
  static boolean isMissingTable(SQLException e) {
    return NO_TABLE.contains(stateOf(e));
  }

  /** Whether a table is in the way of one to be created. */
  static boolean isExistingTable(SQLException e) {
    return EXISTING_TABLE.contains(stateOf(e));
  }

  /**
   * What went wrong, in the driver's words and one line: a database may quote rows in the lines
   * after the first.
   */
  static String problemOf(SQLException e) {
    String message = Objects.requireNonNullElse(e.getMessage(), e.getClass().getSimpleName());
    String line = message.lines().findFirst().orElse("");
    if (line.length() > MAX_MESSAGE) {
      line = line.substring(0, MAX_MESSAGE) + "...";
    }
    String state = stateOf(e);
    return state.isEmpty() ? line : line + " (SQLState " + state + ")";
  }

  private static String stateOf(SQLException e) {
    @Nullable String state = e.getSQLState();
    return state == null ? "" : state;
  }
}
