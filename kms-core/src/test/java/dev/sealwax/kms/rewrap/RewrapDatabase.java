package dev.sealwax.kms.rewrap;

import dev.sealwax.kms.store.ConnectionPool;
import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.concurrent.atomic.AtomicInteger;
import javax.sql.DataSource;
import org.h2.jdbcx.JdbcDataSource;

/**
 * The databases of the tests: one PostgreSQL for the whole JVM, started by the first who asks, and
 * H2 in memory. Fails, and does not skip, where PostgreSQL cannot be started.
 */
final class RewrapDatabase {
  private static final AtomicInteger NUMBER = new AtomicInteger();

  private RewrapDatabase() {}

  private static final class Postgres {
    static final EmbeddedPostgres SERVER = start();
    // A new connection is a new process there, and half of a test's time.
    static final ConnectionPool POOL = ConnectionPool.of(SERVER.getPostgresDatabase());

    private static EmbeddedPostgres start() {
      try {
        return EmbeddedPostgres.builder().setServerConfig("max_connections", "60").start();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  /** A new, empty schema in PostgreSQL, which connections of this source work in. */
  static DataSource postgres() throws SQLException {
    String schema = "rewrap" + NUMBER.incrementAndGet();
    DataSource source = Postgres.POOL.inSchema(schema);
    try (Connection connection = source.getConnection();
        Statement statement = connection.createStatement()) {
      statement.execute("create schema " + schema);
    }
    return source;
  }

  /** Connections to PostgreSQL that have not been given back. */
  static int lentByPostgres() {
    return Postgres.POOL.lent();
  }

  /** Where another process finds the schema that {@link #postgres} made last. */
  static String lastPostgresUrl() {
    return Postgres.SERVER.getJdbcUrl("postgres", "postgres")
        + "&currentSchema=rewrap"
        + NUMBER.get();
  }

  /** A new, empty database in H2, gone when the JVM ends. */
  static DataSource h2() {
    JdbcDataSource source = new JdbcDataSource();
    source.setURL("jdbc:h2:mem:rewrap" + NUMBER.incrementAndGet() + ";DB_CLOSE_DELAY=-1");
    return source;
  }
}
