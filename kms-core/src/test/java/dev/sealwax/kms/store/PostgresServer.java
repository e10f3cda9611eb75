package dev.sealwax.kms.store;

import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicInteger;
import javax.sql.DataSource;
import org.apache.commons.io.FileUtils;
import org.postgresql.ds.PGSimpleDataSource;

/**
 * A real PostgreSQL, started once for all tests of this JVM and ended with it. Each test takes a
 * schema of its own.
 */
final class PostgresServer {
  private static final AtomicInteger SCHEMAS = new AtomicInteger();

  private static final class Shared {
    static final PostgresServer SERVER = new PostgresServer();
  }

  private final Path data;
  private final int port;
  private volatile EmbeddedPostgres server;

  private PostgresServer() {
    try {
      data = Files.createTempDirectory("sealwax-postgres");
      server = start(0);
      port = server.getPort();
      Runtime.getRuntime().addShutdownHook(new Thread(this::remove, "postgres-end"));
    } catch (IOException e) {
      throw new UncheckedIOException("PostgreSQL, which these tests need, does not start", e);
    }
  }

  static PostgresServer shared() {
    return Shared.SERVER;
  }

  private EmbeddedPostgres start(int onPort) throws IOException {
    EmbeddedPostgres.Builder builder =
        EmbeddedPostgres.builder()
            .setDataDirectory(data)
            .setCleanDataDirectory(false) // stopping must not delete it
            .setRegisterShutdownHook(false)
            .setOverrideWorkingDirectory(binaries())
            .setPGStartupWait(Duration.ofSeconds(60))
            .setLocaleConfig("locale", "C.UTF-8")
            .setServerConfig("synchronous_commit", "on");
    if (onPort != 0) {
      builder.setPort(onPort);
    }
    return builder.start();
  }

  /** Where the binaries are unpacked: for each user apart, as they cannot share it. */
  private static File binaries() {
    return new File(
        System.getProperty("java.io.tmpdir"),
        "sealwax-postgres-binaries-" + System.getProperty("user.name"));
  }

  /** Ends the server as an administrator would; what is connected is cut off. */
  void stop() throws IOException {
    server.close();
  }

  /** Starts it again, on the same data and port. */
  void restart() throws IOException {
    server = start(port);
  }

  int port() {
    return port;
  }

  private void remove() {
    try {
      server.close();
      FileUtils.deleteDirectory(data.toFile());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** A schema of its own, which every connection of the data source looks into first. */
  PGSimpleDataSource freshSchema() throws SQLException {
    String schema = "s" + SCHEMAS.incrementAndGet();
    PGSimpleDataSource source = dataSource();
    execute(source, "CREATE SCHEMA " + schema);
    source.setCurrentSchema(schema);
    return source;
  }

  PGSimpleDataSource dataSource() {
    PGSimpleDataSource source = new PGSimpleDataSource();
    source.setServerNames(new String[] {"localhost"});
    source.setPortNumbers(new int[] {port});
    source.setDatabaseName("postgres");
    source.setUser("postgres");
    source.setConnectTimeout(10);
    return source;
  }

  static void execute(DataSource source, String... statements) throws SQLException {
    try (Connection connection = source.getConnection();
        Statement statement = connection.createStatement()) {
      for (String sql : statements) {
        statement.execute(sql);
      }
    }
  }

  /** What a query says in the last column of its only row. */
  static long number(DataSource source, String query) throws SQLException {
    try (Connection connection = source.getConnection();
        Statement sql = connection.createStatement();
        ResultSet row = sql.executeQuery(query)) {
      row.next();
      return row.getLong(row.getMetaData().getColumnCount());
    }
  }

  /** Returns once somebody waits for a lock. */
  static void awaitLockWait(DataSource source) throws Exception {
    while (number(source, "SELECT count(*) FROM pg_locks WHERE NOT granted") == 0) {
      Thread.sleep(10);
    }
  }
}
