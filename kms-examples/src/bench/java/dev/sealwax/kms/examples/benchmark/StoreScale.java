package dev.sealwax.kms.examples.benchmark;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.store.FileKeysetStore;
import dev.sealwax.kms.store.InMemoryKeysetStore;
import dev.sealwax.kms.store.JdbcKeysetStore;
import dev.sealwax.kms.store.KeysetStore;
import dev.sealwax.kms.store.StoredKeyset;
import dev.sealwax.kms.store.WatchableKeysetStore;
import dev.sealwax.kms.vocabulary.KeysetId;
import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;

/**
 * What a store costs with few and with very many keysets in it: its pages, one document, and the
 * question what was written, which a process asks twice a second. The argument is the higher number
 * of keysets.
 */
public final class StoreScale {
  private static final int FEW = 100;
  private static final int PAGE = 100;
  private static final int ROUNDS = 400;

  private StoreScale() {}

  private interface Opening {
    WatchableKeysetStore open() throws Exception;
  }

  private interface Work {
    void run() throws Exception;
  }

  /** Runs from the command line. */
  public static void main(String[] arguments) throws Exception {
    int many = arguments.length == 0 ? 100_000 : Integer.parseInt(arguments[0]);
    Path directory = Files.createTempDirectory("sealwax-scale");
    String document = document(directory);
    System.out.println(
        "| store | keysets | page of 100, us | all names, ms | one document, us | what was written,"
            + " nothing, us | what was written, 10 keysets, us |");
    System.out.println("|---|---|---|---|---|---|---|");
    try (EmbeddedPostgres postgres = EmbeddedPostgres.start()) {
      for (int count : new int[] {FEW, many}) {
        Path files = Files.createDirectory(directory.resolve("files-" + count));
        measure("files", count, document, () -> FileKeysetStore.at(files));
        String database = "scale" + count;
        try (var connection = postgres.getPostgresDatabase().getConnection();
            var statement = connection.createStatement()) {
          statement.execute("CREATE DATABASE " + database);
        }
        var source = postgres.getDatabase("postgres", database);
        JdbcKeysetStore.createTables(source);
        try (Connection connection = source.getConnection()) {
          DataSource pool = poolOf(connection);
          measure("PostgreSQL", count, document, () -> JdbcKeysetStore.open(pool));
        }
      }
    }
  }

  /** Lends one connection again and again, as a pool does to a single thread. */
  private static DataSource poolOf(Connection connection) {
    Connection lent =
        proxy(
            Connection.class,
            (method, arguments) ->
                method.getName().equals("close") ? null : method.invoke(connection, arguments));
    return proxy(DataSource.class, (method, arguments) -> lent);
  }

  private interface Call {
    @Nullable Object run(Method method, Object @Nullable [] arguments) throws Exception;
  }

  private static <T> T proxy(Class<T> type, Call call) {
    return type.cast(
        Proxy.newProxyInstance(
            type.getClassLoader(),
            new Class<?>[] {type},
            (self, method, arguments) -> call.run(method, arguments)));
  }

  private static String document(Path directory) throws Exception {
    try (KeysetStore memory = InMemoryKeysetStore.create();
        Kms kms =
            Kms.builder()
                .rootKey(Sealwax.rootKey(Files.createDirectory(directory.resolve("root"))))
                .store(memory)
                .build()) {
      kms.keysets().create("tenant", KeysetTemplate.defaults());
      return memory.load(KeysetId.of("tenant")).orElseThrow().document();
    }
  }

  private static void measure(String name, int count, String document, Opening opening)
      throws Exception {
    try (WatchableKeysetStore store = opening.open()) {
      List<KeysetId> ids = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        ids.add(KeysetId.of(Figures.format("tenant-%06d", i)));
        store.create(new StoredKeyset(ids.get(i), 1, document));
      }
      Random random = new Random(42);
      double page =
          micros(ROUNDS, () -> store.listAfter(ids.get(random.nextInt(ids.size())), PAGE));
      double all = micros(10, () -> listAll(store)) / 1e3;
      double one = micros(10 * ROUNDS, () -> store.load(ids.get(random.nextInt(ids.size()))));
      var before = store.position();
      String second = document.replaceFirst("\"revision\":\\s*1", "\"revision\":2");
      double nothing = micros(10 * ROUNDS, () -> store.changesAfter(before));
      for (int i = 0; i < 10; i++) {
        store.replace(new StoredKeyset(ids.get(i * (count / 10)), 2, second));
      }
      double ten = micros(10 * ROUNDS, () -> store.changesAfter(before));
      System.out.printf(
          "| %s | %,d | %.0f | %.1f | %.0f | %.0f | %.0f |%n",
          name, count, page, all, one, nothing, ten);
    }
  }

  private static void listAll(KeysetStore store) {
    int limit = 16_384;
    List<KeysetId> page = store.list(limit);
    while (page.size() == limit) {
      page = store.listAfter(page.get(limit - 1), limit);
    }
  }

  /** The median of single calls, the first half of which only warm up. */
  private static double micros(int rounds, Work work) throws Exception {
    long[] nanos = new long[rounds];
    for (int i = 0; i < 2 * rounds; i++) {
      long start = System.nanoTime();
      work.run();
      nanos[i % rounds] = System.nanoTime() - start;
    }
    Arrays.sort(nanos);
    return nanos[rounds / 2] / 1e3;
  }
}
