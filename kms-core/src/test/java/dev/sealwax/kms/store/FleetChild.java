package dev.sealwax.kms.store;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorCompletionService;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;

/** One process of a fleet: its writers, what it encrypts, and what it decrypts of all others. */
final class FleetChild {
  /** A keyset whose versions are published some time before their promotion. */
  static final String STEADY = "steady";

  /** A keyset whose versions are primary at once. */
  static final String HASTY = "hasty";

  static final String READY = "ready";

  // Seven days, the shortest window of a destruction, pass in a second.
  private static final long SPEED = Duration.ofDays(7).toSeconds();
  private static final Instant EPOCH = Instant.parse("2026-01-01T00:00:00Z");

  private FleetChild() {}

  /** {@code DIRECTORY (URL | KEYSET-DIRECTORY) NUMBER ORIGIN}. */
  public static void main(String[] args) throws Exception {
    Path directory = Path.of(args[0]);
    int number = Integer.parseInt(args[2]);
    WriteRecorder store = new WriteRecorder(store(args[1], number));
    try (Kms kms = open(directory, store, clock(Long.parseLong(args[3])))) {
      FleetMail.Outbox outbox = new FleetMail.Outbox(FleetMail.file(directory, number));
      kms.envelopeCipher(STEADY).warmUp();
      kms.envelopeCipher(HASTY).warmUp();
      System.out.println(READY);
      long start =
          Long.parseLong(
              new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII))
                  .readLine());
      System.out.println(work(kms, directory, store, number, outbox, start));
    }
  }

  private static FleetCounts work(
      Kms kms, Path directory, WriteRecorder store, int number, FleetMail.Outbox outbox, long start)
      throws IOException, InterruptedException {
    FleetSize size = FleetSize.chosen();
    FleetLoad load = new FleetLoad(kms, directory);
    AtomicInteger writing = new AtomicInteger(size.writers());
    List<Callable<Object>> tasks = new ArrayList<>();
    for (int i = 0; i < size.writers(); i++) {
      int writer = number * size.writers() + i;
      PrintWriter log =
          new PrintWriter(Files.newBufferedWriter(directory.resolve("calls-" + writer)));
      tasks.add(
          () -> {
            new FleetWriter(writer, size, kms.keysets(), store, log, start).run();
            return writing.decrementAndGet();
          });
    }
    long end = start + size.load().toNanos();
    tasks.add(
        () -> {
          load.send(number, outbox, () -> writing.get() == 0 && System.nanoTime() > end);
          return outbox;
        });
    for (int i = 0; i < size.processes(); i++) {
      int sender = i;
      tasks.add(
          () -> {
            load.receive(sender);
            return load;
          });
    }
    ExecutorService threads = Executors.newFixedThreadPool(tasks.size());
    ExecutorCompletionService<Object> running = new ExecutorCompletionService<>(threads);
    tasks.forEach(running::submit);
    for (int i = 0; i < tasks.size(); i++) {
      try {
        running.take().get();
      } catch (ExecutionException e) {
        e.printStackTrace();
        // The other threads of this process would wait for the one that failed.
        Runtime.getRuntime().halt(3);
      }
    }
    threads.shutdown();
    return load.counts(store.conflicts());
  }

  /** Patient, because a busy machine is not what is tested. Half of the processes get push. */
  private static WatchableKeysetStore store(String place, int number) {
    Duration patience = Duration.ofSeconds(60);
    if (!place.startsWith("jdbc:")) {
      return FileKeysetStore.at(Path.of(place), patience);
    }
    // Its connections end with this process.
    ConnectionPool pool = ConnectionPool.of(JdbcStoreChild.dataSource(place));
    JdbcKeysetStore.Builder builder =
        JdbcKeysetStore.builder(pool.dataSource()).statementTimeout(patience);
    return number % 2 == 0
        ? builder.open()
        : builder.listenOn(JdbcStoreChild.dataSource(place)).open();
  }

  static Kms open(Path directory, KeysetStore store, Clock clock) {
    Path file = directory.resolve("root.key");
    try (KeyMaterial sealingKey = KeyMaterial.owning(new byte[32])) {
      RootKey root =
          Files.exists(file)
              ? LocalRootKey.open(file, sealingKey)
              : LocalRootKey.create(file, sealingKey);
      return Kms.builder().rootKey(root).store(store).clock(clock).build();
    }
  }

  /** The name of one of the keysets that are changed in every way. */
  static String keyset(int number) {
    return "keyset-" + number;
  }

  /**
   * A clock that is fast enough to destroy something, the same in all processes.
   *
   * @param origin a reading of {@link System#nanoTime}
   */
  static Clock clock(long origin) {
    InstantSource fast =
        () -> EPOCH.plus(Duration.ofNanos(System.nanoTime() - origin).multipliedBy(SPEED));
    return fast.withZone(ZoneOffset.UTC);
  }

  static Process start(Path directory, String place, int number, long origin) throws IOException {
    return new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-Xshare:auto",
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
            "-Xmx256m",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            FleetSize.option(),
            "-cp",
            System.getProperty("java.class.path"),
            FleetChild.class.getName(),
            directory.toString(),
            place,
            Integer.toString(number),
            Long.toString(origin))
        .redirectError(ProcessBuilder.Redirect.INHERIT)
        .start();
  }
}
