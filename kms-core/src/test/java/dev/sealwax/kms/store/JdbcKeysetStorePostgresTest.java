package dev.sealwax.kms.store;

import dev.sealwax.kms.testkit.WatchableKeysetStoreContract;
import java.sql.SQLException;
import java.time.Duration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DisplayName;
import org.postgresql.ds.PGSimpleDataSource;

@DisplayName("JdbcKeysetStore on PostgreSQL")
final class JdbcKeysetStorePostgresTest extends WatchableKeysetStoreContract {
  private ConnectionPool pool;

  @Override
  protected WatchableKeysetStore openEmptyStore() throws SQLException {
    PGSimpleDataSource schema = PostgresServer.shared().freshSchema();
    pool = ConnectionPool.of(schema);
    JdbcKeysetStore.createTables(pool.dataSource());
    return JdbcKeysetStore.builder(pool.dataSource())
        .statementTimeout(Duration.ofSeconds(60))
        .listenOn(schema)
        .open();
  }

  @AfterEach
  void closePool() throws SQLException {
    pool.close();
  }
}
