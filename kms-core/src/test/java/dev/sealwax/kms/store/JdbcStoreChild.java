package dev.sealwax.kms.store;

import dev.sealwax.kms.process.ChildJvm;
import dev.sealwax.kms.vocabulary.KeysetConflictException;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import javax.sql.DataSource;
import org.junit.jupiter.api.Assertions;
import org.opentest4j.AssertionFailedError;
import org.postgresql.ds.PGSimpleDataSource;

/** A process that writes one keyset of a database, in a race with others. */
final class JdbcStoreChild {
  static final KeysetId ORDERS = KeysetStoreChild.ORDERS;

  private JdbcStoreChild() {}

  /** {@code URL COUNT}. */
  public static void main(String[] args) throws Exception {
    int count = Integer.parseInt(args[1]);
    try (ConnectionPool pool = ConnectionPool.of(dataSource(args[0]));
        JdbcKeysetStore store =
            JdbcKeysetStore.builder(pool.dataSource())
                .statementTimeout(Duration.ofSeconds(60))
                .open()) {
      increment(store, count);
    }
    System.out.println("incremented " + count);
  }

  static Process start(String url, int count) throws IOException {
    List<Class<?>> libraries =
        List.of(
            org.slf4j.Logger.class,
            PGSimpleDataSource.class,
            org.h2.Driver.class,
            Assertions.class,
            AssertionFailedError.class,
            org.junit.platform.commons.JUnitException.class);
    return new ProcessBuilder(
            ChildJvm.command(JdbcStoreChild.class, libraries, url, Integer.toString(count)))
        .redirectError(ProcessBuilder.Redirect.INHERIT)
        .start();
  }

  static DataSource dataSource(String url) {
    if (url.startsWith("jdbc:h2:")) {
      return H2.at(url);
    }
    PGSimpleDataSource source = new PGSimpleDataSource();
    source.setUrl(url);
    return source;
  }

  /** Replaces the keyset {@code count} times, whatever others do. */
  static void increment(JdbcKeysetStore store, int count) {
    for (int written = 0; written < count; ) {
      long next = store.load(ORDERS).orElseThrow().revision() + 1;
      try {
        store.replace(new StoredKeyset(ORDERS, next, "{\"revision\":" + next + "}"));
        written++;
      } catch (KeysetConflictException e) {
        // Another writer was faster: load again.
      }
    }
  }
}
