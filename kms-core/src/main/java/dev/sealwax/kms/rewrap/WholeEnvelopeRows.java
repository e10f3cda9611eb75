package dev.sealwax.kms.rewrap;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Optional;

/**
 * Whole envelopes in the rows of a table: each is read, made anew outside of any transaction, and
 * replaced where the whole value is still the same. Safe for any thread.
 */
final class WholeEnvelopeRows {
  private final KeptConnections connections;
  private final EnvelopeTable table;
  private final JdbcDurability durability;

  WholeEnvelopeRows(KeptConnections connections, EnvelopeTable table, JdbcDurability durability) {
    this.connections = connections;
    this.table = table;
    this.durability = durability;
  }

  /** Replaces one, as {@link WholeEnvelopeSource#replaceEnvelope} says. */
  ReplaceOutcome replace(EnvelopeRecord record, WholeEnvelopeSource.Replacement replacement)
      throws IOException {
    Optional<byte[]> found = connections.inTransaction(connection -> read(connection, record.id()));
    if (found.isEmpty()) {
      return ReplaceOutcome.GONE;
    }
    byte[] before = found.get();
    if (!record.hasHeaderOf(before)) {
      if (before.length == 0 && isUnchanged(record)) {
        // It starts as an envelope and is none.
        replacement.write(InputStream.nullInputStream(), OutputStream.nullOutputStream());
      }
      return ReplaceOutcome.CHANGED_MEANWHILE;
    }
    ByteArrayOutputStream after = new ByteArrayOutputStream(before.length);
    replacement.write(new ByteArrayInputStream(before), after);
    return connections.inTransaction(
        connection -> {
          try {
            return update(connection, record.id(), before, after.toByteArray());
          } catch (SQLException e) {
            if (!SqlFailure.isOfOneRow(e)) {
              throw e;
            }
            connection.rollback();
            return ReplaceOutcome.REFUSED;
          }
        });
  }

  private boolean isUnchanged(EnvelopeRecord record) throws IOException {
    Optional<EnvelopeRecord> now =
        connections.inTransaction(connection -> table.read(connection, record.id()));
    return now.isPresent() && record.hasHeaderOf(now.get().start());
  }

  private Optional<byte[]> read(Connection connection, String id) throws SQLException {
    try (PreparedStatement select = connection.prepareStatement(table.selectWhole())) {
      RecordKey.bind(table.keys(), select, 1, id);
      try (ResultSet row = select.executeQuery()) {
        return row.next() ? Optional.of(table.form().readWhole(row, 1)) : Optional.empty();
      }
    }
  }

  private ReplaceOutcome update(Connection connection, String id, byte[] before, byte[] after)
      throws SQLException {
    durability.beforeWriting(connection);
    ColumnForm form = table.form();
    int updated;
    try (PreparedStatement update = connection.prepareStatement(table.updateWhole())) {
      form.bind(update, 1, form.wholeValue(after));
      RecordKey.bind(table.keys(), update, 2, id);
      form.bind(update, table.keys().size() + 2, form.wholeValue(before));
      updated = update.executeUpdate();
    }
    connection.commit();
    if (updated > 0) {
      return ReplaceOutcome.REPLACED;
    }
    return table.read(connection, id).isEmpty()
        ? ReplaceOutcome.GONE
        : ReplaceOutcome.CHANGED_MEANWHILE;
  }
}
