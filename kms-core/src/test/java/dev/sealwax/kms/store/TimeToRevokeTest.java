package dev.sealwax.kms.store;

import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.rootkey.TestRootKeys;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyUnavailableException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.postgresql.ds.PGSimpleDataSource;

/**
 * How long a version that one process has disabled goes on decrypting in another, which has it in
 * every cache and uses it all the time. The two share the store and nothing else.
 */
@Timeout(300)
class TimeToRevokeTest {
  private static final EncryptionContext CONTEXT = EncryptionContext.of("row", "1");
  private static final Duration BAR = Duration.ofSeconds(1);
  private static final int READERS = 2;

  @TempDir private Path directory;

  @Test
  void files() {
    Path keysets = directory.resolve("keysets");
    measure("files", 100, FileKeysetStore.at(keysets), FileKeysetStore.at(keysets));
  }

  @Test
  void postgres_thatNotifies() throws Exception {
    PGSimpleDataSource schema = PostgresServer.shared().freshSchema();
    try (ConnectionPool pool = ConnectionPool.of(schema)) {
      JdbcKeysetStore.createTables(pool.dataSource());
      measure(
          "PostgreSQL with LISTEN",
          100,
          JdbcKeysetStore.open(pool.dataSource()),
          JdbcKeysetStore.builder(pool.dataSource()).listenOn(schema).open());
    }
  }

  @Test
  void postgres_thatIsAsked() throws Exception {
    PGSimpleDataSource schema = PostgresServer.shared().freshSchema();
    try (ConnectionPool pool = ConnectionPool.of(schema)) {
      JdbcKeysetStore.createTables(pool.dataSource());
      measure(
          "PostgreSQL, asked",
          20,
          JdbcKeysetStore.open(pool.dataSource()),
          JdbcKeysetStore.open(pool.dataSource()));
    }
  }

  private Kms open(KeysetStore store) {
    LocalRootKey root = TestRootKeys.openOrCreate(directory.resolve("root.key"));
    return Kms.builder().rootKey(root).store(store).build();
  }

  private void measure(String name, int trials, KeysetStore operators, KeysetStore readers) {
    long[] nanos = new long[trials];
    try (Kms operator = open(operators);
        Kms other = open(readers)) {
      operator.keysets().create("orders", KeysetTemplate.defaults());
      byte[] envelope = operator.envelopeCipher("orders").encrypt(new byte[64], CONTEXT);
      try (Load load = new Load(other.envelopeCipher("orders"), envelope)) {
        for (int i = 0; i < trials; i++) {
          load.awaitRefused(false);
          operator.keysets().disable("orders", 1);
          long revoked = System.nanoTime();
          load.awaitRefused(true);
          nanos[i] = Math.max(0, load.lastOpened.get() - revoked);
          operator.keysets().enable("orders", 1);
        }
      }
    }
    Arrays.sort(nanos);
    Duration median = Duration.ofNanos(nanos[trials / 2]);
    Duration p99 = Duration.ofNanos(nanos[(int) Math.ceil(trials * 0.99) - 1]);
    System.out.printf(
        "time to revoke, %s: median %d ms, p99 %d ms, %d trials%n",
        name, median.toMillis(), p99.toMillis(), trials);
    assertTrue(p99.compareTo(BAR) < 0, () -> name + ": p99 " + p99);
  }

  /** Threads that decrypt without pause. */
  private static final class Load implements AutoCloseable {
    private final AtomicLong lastOpened = new AtomicLong(Long.MIN_VALUE);
    private final AtomicReference<Boolean> refused = new AtomicReference<>();
    private final AtomicReference<RuntimeException> failure = new AtomicReference<>();
    private volatile boolean over;

    Load(EnvelopeCipher cipher, byte[] envelope) {
      for (int i = 0; i < READERS; i++) {
        Thread thread = new Thread(() -> run(cipher, envelope), "reader");
        thread.setDaemon(true);
        thread.start();
      }
    }

    private void run(EnvelopeCipher cipher, byte[] envelope) {
      while (!over) {
        try {
          cipher.decrypt(envelope, CONTEXT);
          lastOpened.accumulateAndGet(System.nanoTime(), Math::max);
          refused.set(false);
        } catch (KeyUnavailableException e) {
          refused.set(true);
          LockSupport.parkNanos(100_000);
        } catch (RuntimeException e) {
          if (!over) {
            failure.set(e);
          }
          return;
        }
      }
    }

    void awaitRefused(boolean expected) {
      // Twice, because the other thread may have been in the middle of a message.
      for (int i = 0; i < 2; i++) {
        refused.set(null);
        while (!Boolean.valueOf(expected).equals(refused.get())) {
          if (failure.get() != null) {
            throw failure.get();
          }
          LockSupport.parkNanos(100_000);
        }
      }
    }

    @Override
    public void close() {
      over = true;
    }
  }
}
