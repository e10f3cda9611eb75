package dev.sealwax.kms.rewrap;

import java.io.IOException;
import java.sql.Array;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalLong;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;

/**
 * A column of a database table, in PostgreSQL or H2. Envelopes stand in it as bytes or in their
 * text form, whichever the type of the column is for; {@code NULL} is skipped.
 *
 * <p>Rows are read in the order of the table's primary key, which may have several columns, and
 * only the start of a value is read. A batch is written in one transaction. A header is replaced
 * where the value still starts with the old one, by the database itself, which keeps the rest of
 * the value: a row that the application changes at the same time keeps the change. A record of a
 * compromised version that is re-encrypted is read as a whole, and replaced where the whole value
 * is still the same.
 *
 * <p>A checkpoint must not be ahead of the data, so commits have to be durable: PostgreSQL is told
 * so if its {@code synchronous_commit} is off, and an H2 in a file is written only if it was opened
 * with {@code WRITE_DELAY=0}.
 *
 * <p>The account needs to select and update the column, and to select the primary key. Statements
 * contain no value, and names only after a check. Takes at most one connection more than there are
 * workers, and keeps them until {@link #close}. Safe for concurrent use as {@link EnvelopeSource}
 * says.
 */
public final class JdbcEnvelopeSource implements WholeEnvelopeSource {
  /** Opens connections to a database; what a {@link DataSource} does. */
  @FunctionalInterface
  public interface Connections {
    /** A connection in auto-commit mode, which its taker closes. */
    Connection open() throws SQLException;
  }

  private final KeptConnections connections;
  private final EnvelopeTable table;
  private final JdbcDurability durability;
  private final WholeEnvelopeRows wholeEnvelopes;

  private JdbcEnvelopeSource(
      Connections connections, EnvelopeTable table, JdbcDurability durability) {
    this.connections = new KeptConnections(connections);
    this.table = table;
    this.durability = durability;
    this.wholeEnvelopes = new WholeEnvelopeRows(this.connections, table, durability);
  }

  /**
   * Opens a column.
   *
   * @param dataSource stays the caller's
   * @param table its name, or {@code schema.name}; without a schema the connection's current one is
   *     meant. Names are taken as they stand if the database has them so, else as it would read
   *     them without quotes
   * @param column its name
   * @throws IllegalArgumentException if there is no such column, the table has no primary key, or a
   *     type is not supported
   * @throws IOException if the database cannot be asked
   */
  public static JdbcEnvelopeSource of(DataSource dataSource, String table, String column)
      throws IOException {
    return of(Objects.requireNonNull(dataSource, "data source")::getConnection, table, column);
  }

  /**
   * Opens a column by way of connections that are not a {@link DataSource}'s.
   *
   * @throws IllegalArgumentException as {@link #of(DataSource, String, String)} does
   * @throws IOException as {@link #of(DataSource, String, String)} does
   */
  public static JdbcEnvelopeSource of(Connections connections, String table, String column)
      throws IOException {
    Objects.requireNonNull(connections, "connections");
    Objects.requireNonNull(table, "table");
    Objects.requireNonNull(column, "column");
    try (Connection connection = connections.open()) {
      EnvelopeTable found = EnvelopeTable.find(connection, table, column);
      return new JdbcEnvelopeSource(
          connections, found, JdbcDurability.of(connection, found.database()));
    } catch (SQLException e) {
      throw SqlFailure.of(e);
    }
  }

  /**
   * Database, schema, table and column. Not the host: keep checkpoints of different hosts apart.
   */
  @Override
  public String identity() {
    return table.identity();
  }

  /** In PostgreSQL what its statistics say, in H2 an exact count. */
  @Override
  public OptionalLong size() throws IOException {
    return connections.inTransaction(
        connection -> {
          boolean estimates = table.database() == EnvelopeTable.Database.POSTGRESQL;
          String sql =
              estimates
                  ? "SELECT c.reltuples FROM pg_class c JOIN pg_namespace n ON c.relnamespace ="
                      + " n.oid WHERE n.nspname = ? AND c.relname = ?"
                  : table.count();
          try (PreparedStatement statement = connection.prepareStatement(sql)) {
            if (estimates) {
              statement.setString(1, table.schema());
              statement.setString(2, table.table());
            }
            try (ResultSet rows = statement.executeQuery()) {
              // Negative, or zero, where statistics were never collected.
              long size = rows.next() ? rows.getLong(1) : 0;
              return size > 0 ? OptionalLong.of(size) : OptionalLong.empty();
            }
          }
        });
  }

  @Override
  public List<EnvelopeRecord> scan(@Nullable String after, int limit) throws IOException {
    return connections.inTransaction(
        connection -> {
          try (PreparedStatement select =
              connection.prepareStatement(table.selectPage(after != null, limit))) {
            if (after != null) {
              RecordKey.bind(table.keys(), select, 1, after);
            }
            select.setFetchSize(limit);
            List<EnvelopeRecord> page = new ArrayList<>(limit);
            try (ResultSet rows = select.executeQuery()) {
              while (rows.next()) {
                String id = RecordKey.read(table.keys(), rows);
                page.add(table.form().read(id, rows, table.keys().size() + 1));
              }
            }
            return page;
          }
        });
  }

  @Override
  public Optional<EnvelopeRecord> read(String id) throws IOException {
    Objects.requireNonNull(id, "id");
    return connections.inTransaction(connection -> table.read(connection, id));
  }

  @Override
  public List<ReplaceOutcome> replaceHeaders(List<HeaderChange> changes) throws IOException {
    Objects.requireNonNull(changes, "changes");
    return connections.inTransaction(
        connection -> {
          try {
            return replace(connection, changes);
          } catch (SQLException e) {
            if (!SqlFailure.isOfOneRow(e)) {
              throw e;
            }
            // Some row is refused, and with it the whole statement: one at a time finds out which.
            connection.rollback();
            return replaceOneByOne(connection, changes);
          }
        });
  }

  private List<ReplaceOutcome> replaceOneByOne(Connection connection, List<HeaderChange> changes)
      throws SQLException {
    List<ReplaceOutcome> outcomes = new ArrayList<>();
    for (HeaderChange change : changes) {
      try {
        outcomes.addAll(replace(connection, List.of(change)));
      } catch (SQLException e) {
        if (!SqlFailure.isOfOneRow(e)) {
          throw e;
        }
        connection.rollback();
        outcomes.add(ReplaceOutcome.REFUSED);
      }
    }
    return outcomes;
  }

  private List<ReplaceOutcome> replace(Connection connection, List<HeaderChange> changes)
      throws SQLException {
    List<ReplaceOutcome> outcomes =
        new ArrayList<>(Collections.nCopies(changes.size(), ReplaceOutcome.CHANGED_MEANWHILE));
    durability.beforeWriting(connection);
    String updateMany = table.updateMany();
    if (updateMany != null) {
      replaceTogether(connection, updateMany, changes, outcomes);
    } else {
      replaceInBatch(connection, changes, outcomes);
    }
    connection.commit();
    for (int i = 0; i < outcomes.size(); i++) {
      if (outcomes.get(i) == ReplaceOutcome.CHANGED_MEANWHILE
          && table.read(connection, changes.get(i).record().id()).isEmpty()) {
        outcomes.set(i, ReplaceOutcome.GONE);
      }
    }
    return outcomes;
  }

  private void replaceTogether(
      Connection connection,
      String update,
      List<HeaderChange> changes,
      List<ReplaceOutcome> outcomes)
      throws SQLException {
    List<KeyColumn> keys = table.keys();
    ColumnForm form = table.form();
    try (PreparedStatement statement = connection.prepareStatement(update)) {
      List<List<String>> ids =
          changes.stream()
              .map(change -> RecordKey.split(change.record().id(), keys.size()))
              .toList();
      int index = 1;
      for (int i = 0; i < keys.size(); i++) {
        int column = i;
        keys.get(i)
            .bindArray(
                connection, statement, index++, ids.stream().map(id -> id.get(column)).toList());
      }
      statement.setArray(index++, array(connection, changes.stream().map(form::newValue).toList()));
      statement.setArray(index++, array(connection, changes.stream().map(form::oldValue).toList()));
      RecordKey.bind(keys, statement, index, changes.get(0).record().id());
      RecordKey.bind(
          keys, statement, index + keys.size(), changes.get(changes.size() - 1).record().id());
      try (ResultSet replaced = statement.executeQuery()) {
        while (replaced.next()) {
          outcomes.set(Math.toIntExact(replaced.getLong(1) - 1), ReplaceOutcome.REPLACED);
        }
      }
    }
  }

  private Array array(Connection connection, List<Object> values) throws SQLException {
    return table.form() == ColumnForm.BINARY
        ? connection.createArrayOf("bytea", values.toArray(byte[][]::new))
        : connection.createArrayOf("text", values.toArray(String[]::new));
  }

  private void replaceInBatch(
      Connection connection, List<HeaderChange> changes, List<ReplaceOutcome> outcomes)
      throws SQLException {
    int keys = table.keys().size();
    try (PreparedStatement statement = connection.prepareStatement(table.updateOne())) {
      for (HeaderChange change : changes) {
        int length = table.form().headerLength(change.newHeader().length);
        table.form().bind(statement, 1, table.form().newValue(change));
        statement.setInt(2, length + 1);
        RecordKey.bind(table.keys(), statement, 3, change.record().id());
        statement.setInt(keys + 3, length);
        table.form().bind(statement, keys + 4, table.form().oldValue(change));
        statement.addBatch();
      }
      int[] counts = statement.executeBatch();
      for (int i = 0; i < counts.length; i++) {
        if (counts[i] == 1) {
          outcomes.set(i, ReplaceOutcome.REPLACED);
        } else if (counts[i] == Statement.SUCCESS_NO_INFO) {
          throw new SQLException("the driver does not count updated rows");
        }
      }
    }
  }

  /**
   * Holds the whole envelope in memory, old and new, some three times, and no connection while it
   * is replaced.
   */
  @Override
  public ReplaceOutcome replaceEnvelope(EnvelopeRecord record, Replacement replacement)
      throws IOException {
    Objects.requireNonNull(record, "record");
    Objects.requireNonNull(replacement, "replacement");
    return wholeEnvelopes.replace(record, replacement);
  }

  @Override
  public void close() throws IOException {
    connections.close();
  }

  @Override
  public String toString() {
    return "JdbcEnvelopeSource[" + identity() + "]";
  }
}
