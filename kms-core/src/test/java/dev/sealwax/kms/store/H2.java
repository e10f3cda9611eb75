package dev.sealwax.kms.store;

import java.nio.file.Path;
import java.util.UUID;
import javax.sql.DataSource;
import org.h2.jdbcx.JdbcDataSource;

/** Fresh H2 databases for tests. */
final class H2 {
  private H2() {}

  /** A database in memory, which lives as long as this JVM or until SHUTDOWN. */
  static DataSource inMemory() {
    return at("jdbc:h2:mem:" + UUID.randomUUID() + ";DB_CLOSE_DELAY=-1;LOCK_TIMEOUT=30000");
  }

  /** A database in files, which another process may open too. */
  static DataSource inFile(Path directory) {
    return at(urlOfFile(directory));
  }

  static String urlOfFile(Path directory) {
    return "jdbc:h2:file:" + directory.resolve("keysets") + ";AUTO_SERVER=TRUE;LOCK_TIMEOUT=30000";
  }

  static DataSource at(String url) {
    JdbcDataSource source = new JdbcDataSource();
    source.setURL(url);
    return source;
  }
}
