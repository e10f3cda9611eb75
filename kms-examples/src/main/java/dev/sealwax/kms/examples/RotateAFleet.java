package dev.sealwax.kms.examples;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.keyset.RotationPolicy;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.store.JdbcKeysetStore;
import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.postgresql.ds.PGSimpleDataSource;

/**
 * Three processes over one PostgreSQL encrypt for each other and decrypt what the others send,
 * without pause, while their keyset rotates by its policy. Each runs a scheduler, and each rotation
 * is made by one of them. It fails if a single message does not open.
 *
 * <p>Arguments: for how many seconds, and the JDBC URL of a PostgreSQL, in which it works in a
 * schema of its own; without one it starts a server.
 */
public final class RotateAFleet {
  private static final int PROCESSES = 3;

  /**
   * A version is published 18 hours before all may encrypt under it, which are one and a half
   * seconds by the clock of this fleet.
   */
  private static final RotationPolicy DAILY =
      RotationPolicy.manual()
          .afterAge(Duration.ofDays(1))
          .withPropagationDelay(Duration.ofHours(18));

  private final Path directory;
  private final String url;
  private final PGSimpleDataSource database;
  private final PrintStream out;

  private RotateAFleet(Path directory, String url, String schema, PrintStream out) {
    this.directory = directory;
    this.url = url;
    this.database = FleetMember.database(url, schema);
    this.out = out;
  }

  public static void main(String[] args) throws Exception {
    Duration time = Duration.ofSeconds(args.length == 0 ? 60 : Long.parseLong(args[0]));
    Path directory = Files.createTempDirectory("sealwax-fleet");
    boolean passed;
    if (args.length > 1) {
      passed = run(directory, args[1], time, Terminal.ofProcess());
    } else {
      try (EmbeddedPostgres server = EmbeddedPostgres.start()) {
        String url = server.getJdbcUrl("postgres", "postgres");
        passed = run(directory, url, time, Terminal.ofProcess());
      }
    }
    if (!passed) {
      System.exit(1);
    }
  }

  /** Whether all went well; if not, what is printed says so. */
  static boolean run(Path directory, String url, Duration time, Terminal terminal)
      throws Exception {
    String schema = "fleet_" + UUID.randomUUID().toString().replace("-", "");
    RotateAFleet fleet = new RotateAFleet(directory, url, schema, terminal.out());
    fleet.execute("create schema " + schema);
    try {
      return fleet.rotate(schema, time, new FleetTable(terminal, PROCESSES));
    } finally {
      fleet.execute("drop schema " + schema + " cascade");
    }
  }

  private boolean rotate(String schema, Duration time, FleetTable table) throws Exception {
    execute(
        "create table messages (sender int, number bigint, envelope bytea,"
            + " primary key (sender, number))");
    JdbcKeysetStore.createTables(database);
    LocalRootKey.create(directory.resolve("root.key"), FleetMember.sealingKey()).close();
    Instant start = Instant.now();
    List<Process> processes = new ArrayList<>();
    try (Kms operator = FleetMember.open(directory, database, start)) {
      operator
          .keysets()
          .create(FleetMember.KEYSET, KeysetTemplate.defaults().withRotationPolicy(DAILY));
      for (int i = 1; i <= PROCESSES; i++) {
        Process process = AnotherJvm.start(FleetMember.class, arguments(schema, i, start));
        processes.add(process);
        table.listenTo(process.inputReader());
      }
      table.showFor(time);
      // So that no rotation is under way when the processes end.
      operator.keysets().setRotationPolicy(FleetMember.KEYSET, RotationPolicy.manual());
      for (Process process : processes) {
        process.getOutputStream().close();
      }
      table.showLast();
      int rotations = operator.keysets().get(FleetMember.KEYSET).primary() - 1;
      return report(table, rotations, processes);
    } finally {
      processes.forEach(Process::destroy);
    }
  }

  private List<String> arguments(String schema, int number, Instant start) {
    return List.of(
        directory.toString(),
        url,
        schema,
        Integer.toString(number),
        Integer.toString(PROCESSES),
        start.toString());
  }

  private boolean report(FleetTable table, int rotations, List<Process> processes)
      throws InterruptedException {
    FleetRow total = table.total();
    out.printf("rotations       %d, of which the processes won %d%n", rotations, total.rotations());
    out.printf(
        "messages        %,d encrypted, %,d decrypted: each by the %d other processes%n",
        total.encrypted(), total.decrypted(), PROCESSES - 1);
    out.printf("decrypt errors  %,d%n", total.errors());
    table.complaints().forEach(out::println);
    boolean ended = true;
    for (Process process : processes) {
      ended &= process.waitFor() == 0;
    }
    boolean passed =
        ended
            && total.errors() == 0
            && total.decrypted() == total.encrypted() * (PROCESSES - 1)
            && rotations > 0
            && rotations == total.rotations();
    if (!passed) {
      out.println("FAILED: a process, a message, or the number of rotations");
    }
    return passed;
  }

  private void execute(String sql) throws SQLException {
    try (Connection connection = database.getConnection();
        Statement statement = connection.createStatement()) {
      statement.execute(sql);
    }
  }
}
