package dev.sealwax.kms.store;

import dev.sealwax.kms.store.WatchableKeysetStore.Changes;
import dev.sealwax.kms.store.WatchableKeysetStore.Position;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.LinkedHashSet;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * The table of changes: which keysets were written last, in the order of their commits.
 *
 * <p>A writer locks row 0 until its commit, so that whoever sees number n sees all before it. Each
 * change has a random token besides its number: a database that lost its last writes (a restored
 * backup, a replica that took over too early) gives their numbers to other writes, but not their
 * tokens. A position is both. Immutable; safe for any thread.
 */
final class ChangeLog {
  /** Fewest changes kept; a reader further behind is told to read everything. */
  static final int KEPT = 10_000;

  private static final int PRUNED_EVERY = 100;

  private final KeysetTables tables;

  ChangeLog(KeysetTables tables) {
    this.tables = tables;
  }

  /**
   * Records a write, in its transaction, and holds back other writers until that ends. To be called
   * before the write: what it reads and replaces is then nobody else's.
   */
  void append(JdbcSession session, KeysetId written) throws SQLException {
    boolean locked = session.query(tables.lockChanges(), ResultSet::next);
    if (!locked) {
      throw rowZeroMissing();
    }
    long number = last(session).number + 1;
    session.update(tables.insertChange(), number, UUID.randomUUID().toString(), written.value());
    if (number % PRUNED_EVERY == 0) {
      session.update(tables.deleteChanges(), number - KEPT);
    }
  }

  /** The end of the history. */
  Position end(JdbcSession session) throws SQLException {
    return last(session).position();
  }

  /** What was written after a position. */
  Changes after(JdbcSession session, Position since) throws SQLException {
    Entry asked = Entry.parse(since);
    if (asked == null) {
      return new Changes(end(session), false, Set.of());
    }
    Found found =
        session.query(tables.selectChangesFrom(), rows -> read(rows, asked), asked.number);
    return found.last == null
        ? new Changes(end(session), false, Set.of())
        : new Changes(found.last.position(), found.complete, found.written);
  }

  private record Found(@Nullable Entry last, boolean complete, Set<KeysetId> written) {}

  private static Found read(ResultSet rows, Entry asked) throws SQLException {
    Set<KeysetId> written = new LinkedHashSet<>();
    Entry last = null;
    boolean complete = true;
    while (rows.next()) {
      Entry entry = Entry.of(rows);
      // Numbers without a gap, from the very change that was asked for: nothing is missing.
      complete &= last == null ? entry.equals(asked) : entry.number == last.number + 1;
      String name = rows.getString("name");
      if (last != null && name != null) {
        complete &= KeysetId.isValid(name);
        if (KeysetId.isValid(name)) {
          written.add(KeysetId.of(name));
        }
      }
      last = entry;
    }
    return new Found(last, complete, written);
  }

  private Entry last(JdbcSession session) throws SQLException {
    return session.query(
        tables.selectLastChange(),
        rows -> {
          if (!rows.next()) {
            throw rowZeroMissing();
          }
          return Entry.of(rows);
        });
  }

  // 42: like a missing table, which the operator has to mend too.
  private SQLException rowZeroMissing() {
    return new SQLException(
        "row 0 of " + tables + "_changes is missing; insert it as JdbcSchema does", "42000");
  }

  /** One change, and so the position behind it. */
  private record Entry(long number, String token) {
    static Entry of(ResultSet row) throws SQLException {
      return new Entry(row.getLong("change_number"), String.valueOf(row.getString("token")));
    }

    static @Nullable Entry parse(Position position) {
      int colon = position.value().indexOf(':');
      if (colon < 0) {
        return null;
      }
      try {
        long number = Long.parseLong(position.value().substring(0, colon));
        return new Entry(number, position.value().substring(colon + 1));
      } catch (NumberFormatException e) {
        return null;
      }
    }

    Position position() {
      return new Position(number + ":" + token);
    }
  }
}
