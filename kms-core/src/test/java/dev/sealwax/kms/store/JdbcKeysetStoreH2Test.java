package dev.sealwax.kms.store;

import dev.sealwax.kms.testkit.WatchableKeysetStoreContract;
import java.sql.SQLException;
import java.time.Duration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DisplayName;

@DisplayName("JdbcKeysetStore on H2 in memory")
final class JdbcKeysetStoreH2Test extends WatchableKeysetStoreContract {
  private final ConnectionPool pool = ConnectionPool.of(H2.inMemory());

  @Override
  protected WatchableKeysetStore openEmptyStore() {
    JdbcKeysetStore.createTables(pool.dataSource());
    return JdbcKeysetStore.builder(pool.dataSource())
        .statementTimeout(Duration.ofSeconds(60))
        .open();
  }

  @AfterEach
  void closePool() throws SQLException {
    pool.close();
  }
}
