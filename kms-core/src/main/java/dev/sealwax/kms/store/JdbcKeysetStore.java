package dev.sealwax.kms.store;

import dev.sealwax.kms.vocabulary.KeysetConflictException;
import dev.sealwax.kms.vocabulary.KeysetCorruptedException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import dev.sealwax.kms.vocabulary.KeysetStoreException.Reason;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;

/**
 * A keyset store in two tables of a database, shared by any number of processes.
 *
 * <p>Tested on PostgreSQL and H2. The {@link DataSource} stays the application's: usually its pool;
 * not one that hands out connections with a transaction under way, because the store commits. Each
 * call borrows one connection, and gives it back with its autocommit and isolation as they were.
 * Safe for any thread and any number of stores on the same tables.
 *
 * <p><b>Tables</b> are made by {@link #createTables} or a migration that runs {@link JdbcSchema},
 * never by opening a store. A process that only decrypts needs no more than the right to {@code
 * SELECT} from both.
 *
 * <p><b>Writes</b> are transactions at read committed: an entry into the table of changes, for
 * which writers queue, then an insert, or an update that names the revision it replaces. Deadlocks
 * and serialization failures, which the database has undone, are tried again a few times. When the
 * connection fails during the commit, nobody knows whether it took effect: that is {@link
 * Reason#UNAVAILABLE}, whose remedy is to load again. A database that has become read-only (a
 * replica) or denies access is {@link Reason#INACCESSIBLE}; reads go on if it lets them.
 *
 * <p><b>Time limits.</b> Each statement is cancelled after the {@link Builder#statementTimeout
 * statement timeout}, but no statement timeout ends the wait for a network or a server that went
 * silent. Set {@code connectTimeout} and {@code socketTimeout} in the driver's URL, and the time to
 * wait for a connection in the pool.
 *
 * <p><b>Push.</b> On PostgreSQL every write notifies; {@link Builder#listenOn} makes {@link
 * #awaitWrite} hear of the writes of other processes.
 */
public final class JdbcKeysetStore implements WatchableKeysetStore {
  private final JdbcTransactions database;
  private final KeysetTables tables;
  private final ChangeLog changes;
  private final boolean notifies;
  private final WriteSignal signal = WriteSignal.create();
  private final @Nullable PostgresListener listener;
  private volatile boolean closed;

  private JdbcKeysetStore(Builder builder, boolean notifies) {
    this.database = builder.database();
    this.tables = builder.tables;
    this.changes = new ChangeLog(tables);
    this.notifies = notifies;
    this.listener =
        builder.listening == null
            ? null
            : PostgresListener.start(builder.listening, tables.channel(), signal);
  }

  /**
   * Opens the store in tables of the default name {@code sealwax_keysets}.
   *
   * @throws KeysetStoreException if the tables are missing ({@code INACCESSIBLE}: create them, or
   *     check the database's name and the search path) or the database does not answer
   */
  public static JdbcKeysetStore open(DataSource dataSource) {
    return builder(dataSource).open();
  }

  /**
   * Creates the tables of the default name, which {@link #open} never does. Once, by somebody who
   * may create tables.
   *
   * @throws KeysetStoreException if they exist (nothing is changed), the right is missing, or there
   *     is no {@link JdbcSchema} for this database
   */
  public static void createTables(DataSource dataSource) {
    builder(dataSource).createTables();
  }

  /** Starts to open a store, or to create its tables, with settings of your own. */
  public static Builder builder(DataSource dataSource) {
    return new Builder(Objects.requireNonNull(dataSource, "data source"));
  }

  /** Settings of a {@link JdbcKeysetStore}; used by one thread, and as often as one likes. */
  public static final class Builder {
    private static final Duration MAX_TIMEOUT = Duration.ofDays(1);

    private final DataSource dataSource;
    private KeysetTables tables = KeysetTables.named(KeysetTables.DEFAULT_NAME);
    private Duration statementTimeout = Duration.ofSeconds(5);
    private @Nullable DataSource listening;

    private Builder(DataSource dataSource) {
      this.dataSource = dataSource;
    }

    /**
     * The table of keysets, perhaps with its schema before a dot; the table of changes has the same
     * name with {@code _changes} added. {@code sealwax_keysets} if not set.
     *
     * @throws IllegalArgumentException if it is not made of lower-case letters, digits and
     *     underscores, at most 48 each; it becomes part of statements as it is
     */
    public Builder table(String name) {
      this.tables = KeysetTables.named(Objects.requireNonNull(name, "table name"));
      return this;
    }

    /**
     * How long one statement may take, 5 seconds if not set; JDBC counts whole seconds, so it is
     * rounded up.
     *
     * @throws IllegalArgumentException if it is not positive, or longer than a day
     */
    public Builder statementTimeout(Duration timeout) {
      Objects.requireNonNull(timeout, "timeout");
      if (timeout.isNegative() || timeout.isZero() || timeout.compareTo(MAX_TIMEOUT) > 0) {
        throw new IllegalArgumentException(
            "statement timeout must be positive and at most " + MAX_TIMEOUT + ", got " + timeout);
      }
      this.statementTimeout = timeout;
      return this;
    }

    /**
     * Where to listen for the writes of other processes: the same PostgreSQL database, through its
     * own driver (pgjdbc). One connection is kept as long as the store is open; it must reach the
     * server itself or a proxy that gives it a session of its own, so not PgBouncer's transaction
     * mode. A daemon thread waits on it. When the connection fails it is opened anew, with growing
     * pauses; {@link #awaitWrite} then waits for its timeout, and nothing else suffers.
     */
    public Builder listenOn(DataSource dataSource) {
      this.listening = Objects.requireNonNull(dataSource, "data source");
      return this;
    }

    /**
     * Opens the store, after a look at its tables.
     *
     * @throws KeysetStoreException if the tables are missing ({@code INACCESSIBLE}: create them, or
     *     check the database's name and the search path) or the database does not answer
     * @throws IllegalArgumentException if {@link #listenOn} is set and the database is no
     *     PostgreSQL
     */
    public JdbcKeysetStore open() {
      try {
        Optional<JdbcSchema> kind = database().read(this::look);
        boolean notifies = kind.equals(Optional.of(JdbcSchema.POSTGRESQL));
        if (listening != null && !notifies) {
          throw new IllegalArgumentException("listenOn needs PostgreSQL; leave it out");
        }
        return new JdbcKeysetStore(this, notifies);
      } catch (SQLException e) {
        throw failure("tables " + tables + " cannot be used", tables, e);
      }
    }

    /**
     * Creates the tables, which {@link #open} never does.
     *
     * @throws KeysetStoreException if they exist (nothing is changed), the right is missing, or
     *     there is no {@link JdbcSchema} for this database
     */
    public void createTables() {
      try {
        database()
            .write(
                session -> {
                  session.script(schemaFor(session.productName()).sql(tables));
                  return tables;
                });
      } catch (SQLException e) {
        throw SqlStates.isExistingTable(e)
            ? new KeysetStoreException(
                Reason.INACCESSIBLE,
                "tables "
                    + tables
                    + ", or one of them, exist already; open them, or make what is missing by"
                    + " JdbcSchema: "
                    + SqlStates.problemOf(e),
                e)
            : failure("tables " + tables + " cannot be created", tables, e);
      }
    }

    private static JdbcSchema schemaFor(String productName) {
      return JdbcSchema.of(productName)
          .orElseThrow(
              () ->
                  new KeysetStoreException(
                      Reason.INACCESSIBLE,
                      "no tables are known for " + productName + "; adapt one of JdbcSchema's",
                      null));
    }

    private Optional<JdbcSchema> look(JdbcSession session) throws SQLException {
      KeysetId any = KeysetId.of("0");
      session.query(tables.select(), ResultSet::next, any.value());
      new ChangeLog(tables).end(session);
      return JdbcSchema.of(session.productName());
    }

    private JdbcTransactions database() {
      return new JdbcTransactions(dataSource, statementTimeout);
    }
  }

  @Override
  public Optional<StoredKeyset> load(KeysetId id) {
    Objects.requireNonNull(id, "keyset id");
    return read(
        "keyset " + id + " cannot be read",
        session -> session.query(tables.select(), rows -> keyset(id, rows), id.value()));
  }

  @Override
  public void create(StoredKeyset first) {
    Objects.requireNonNull(first, "keyset").requireFirst();
    write(
        first,
        session ->
            session.update(
                tables.insert(), first.id().value(), first.revision(), first.document()));
  }

  @Override
  public void replace(StoredKeyset next) {
    Objects.requireNonNull(next, "keyset").requireNotFirst();
    write(
        next,
        session -> {
          int changed =
              session.update(
                  tables.update(),
                  next.revision(),
                  next.document(),
                  next.id().value(),
                  next.revision() - 1);
          if (changed == 0) {
            throw notTheTurnOf(next, storedRevision(session, next.id()));
          }
          return changed;
        });
  }

  @Override
  public List<KeysetId> list(int limit) {
    return names("", limit);
  }

  @Override
  public List<KeysetId> listAfter(KeysetId after, int limit) {
    return names(Objects.requireNonNull(after, "keyset id").value(), limit);
  }

  @Override
  public Position position() {
    return read("changes of " + tables + " cannot be read", changes::end);
  }

  @Override
  public Changes changesAfter(Position since) {
    Objects.requireNonNull(since, "position");
    return read(
        "changes of " + tables + " cannot be read", session -> changes.after(session, since));
  }

  @Override
  public void awaitWrite(Duration timeout) throws InterruptedException {
    requireOpen();
    signal.await(Objects.requireNonNull(timeout, "timeout"));
    requireOpen();
  }

  /** Stops listening and ends waits; calls under way finish. The data source stays open. */
  @Override
  public void close() {
    closed = true;
    if (listener != null) {
      listener.close();
    }
    signal.close();
  }

  private List<KeysetId> names(String after, int limit) {
    if (limit < 1) {
      throw new IllegalArgumentException("list limit must be at least 1, got " + limit);
    }
    return read(
        "keysets of " + tables + " cannot be listed",
        session ->
            session.query(tables.selectNames(), rows -> ascending(after, rows), after, limit));
  }

  // A table made by hand may order names as people do, and then the next page would leave some out.
  private List<KeysetId> ascending(String after, ResultSet rows) throws SQLException {
    List<KeysetId> names = new ArrayList<>();
    String previous = after;
    while (rows.next()) {
      String name = String.valueOf(rows.getString("name"));
      if (!KeysetId.isValid(name) || name.compareTo(previous) <= 0) {
        throw new KeysetStoreException(
            Reason.INACCESSIBLE,
            String.format(
                "%s names \"%s\" after \"%s\": its column name must hold keyset names only and"
                    + " compare them byte by byte, see JdbcSchema",
                tables, name, previous),
            null);
      }
      names.add(KeysetId.of(name));
      previous = name;
    }
    return List.copyOf(names);
  }

  private static Optional<StoredKeyset> keyset(KeysetId id, ResultSet rows) throws SQLException {
    if (!rows.next()) {
      return Optional.empty();
    }
    String name = rows.getString("name");
    long revision = rows.getLong("revision");
    String document = rows.getString("document");
    if (!id.value().equals(name) || document == null) {
      throw new KeysetCorruptedException(id, "its row has another name or no document", null);
    }
    try {
      return Optional.of(new StoredKeyset(id, revision, document));
    } catch (IllegalArgumentException e) {
      throw new KeysetCorruptedException(id, String.valueOf(e.getMessage()), e);
    }
  }

  private Optional<Long> storedRevision(JdbcSession session, KeysetId id) throws SQLException {
    return session.query(
        tables.selectRevision(),
        rows -> rows.next() ? Optional.of(rows.getLong("revision")) : Optional.empty(),
        id.value());
  }

  private RuntimeException notTheTurnOf(StoredKeyset next, Optional<Long> stored) {
    if (stored.isEmpty()) {
      return new KeysetStoreException(
          Reason.NOT_FOUND, "there is no keyset " + next.id() + " in " + tables, null);
    }
    return new KeysetConflictException(
        next.id(),
        "another writer was faster, stored is revision "
            + stored.get()
            + ", which "
            + next.revision()
            + " does not follow");
  }

  private <T> T read(String problem, JdbcTransactions.Work<T> work) {
    requireOpen();
    try {
      return database.read(work);
    } catch (SQLException e) {
      throw failure(problem, tables, e);
    }
  }

  private void write(StoredKeyset next, JdbcTransactions.Work<Integer> statement) {
    requireOpen();
    String subject = "keyset " + next.id() + " revision " + next.revision() + ": ";
    try {
      database.write(
          session -> {
            changes.append(session, next.id()); // first: from here to the commit nobody else writes
            statement.run(session);
            if (notifies) {
              session.query("SELECT pg_notify(?, '')", ResultSet::next, tables.channel());
            }
            return next;
          });
    } catch (JdbcSession.UnknownOutcomeException e) {
      signal.signal(); // who waits looks, and sees which of the two it is
      throw new KeysetStoreException(
          Reason.UNAVAILABLE,
          subject
              + "load it again to see whether the write took effect, the commit failed: "
              + SqlStates.problemOf(e),
          e);
    } catch (SQLException e) {
      if (next.revision() == 1 && SqlStates.isConstraint(e)) {
        requireAbsent(next.id(), e);
      }
      throw failure(subject + "nothing was written", tables, e);
    }
    signal.signal();
  }

  /** Whether a row in the way of a first revision is that of the same keyset. */
  private void requireAbsent(KeysetId id, SQLException refused) {
    try {
      Optional<Long> stored = database.read(session -> storedRevision(session, id));
      if (stored.isPresent()) {
        throw new KeysetConflictException(id, "the name is taken, at revision " + stored.get());
      }
    } catch (SQLException e) {
      refused.addSuppressed(e);
    }
  }

  private static KeysetStoreException failure(String what, KeysetTables tables, SQLException e) {
    String remedy =
        SqlStates.isMissingTable(e)
            ? "; if this is the right database, create the tables "
                + tables
                + " and "
                + tables
                + "_changes, by JdbcKeysetStore.createTables or JdbcSchema"
            : "";
    return new KeysetStoreException(
        SqlStates.reasonOf(e), what + ": " + SqlStates.problemOf(e) + remedy, e);
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException("keyset store is closed");
    }
  }
}
