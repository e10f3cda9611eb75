package dev.sealwax.kms.store;

import dev.sealwax.kms.testkit.WatchableKeysetStoreContract;
import java.nio.file.Path;
import java.sql.SQLException;
import java.time.Duration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.io.TempDir;

@DisplayName("JdbcKeysetStore on H2 in a file")
final class JdbcKeysetStoreH2FileTest extends WatchableKeysetStoreContract {
  @TempDir Path directory;
  private ConnectionPool pool;

  @Override
  protected WatchableKeysetStore openEmptyStore() {
    pool = ConnectionPool.of(H2.inFile(directory));
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
