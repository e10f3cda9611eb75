package dev.sealwax.kms.examples.remote;

import dev.sealwax.kms.examples.NumberOptions;
import dev.sealwax.kms.examples.remote.GameDayRun.Cell;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;

/**
 * What goes on while the root key is away, and until when: a table of operations against faults,
 * each tried and compared with what the library promises. Without AWS: the root key is in a file,
 * behind a switch. {@code --help} lists what it can be told.
 */
public final class OutageGameDay {
  static final String USAGE =
      """
      usage: OutageGameDay [--minute-millis N]

        --minute-millis N   that stand for a minute (default 100; more on a busy machine)

      Exit code: 0 all went as promised; 1 not, or this machine was too busy; 2 wrong arguments.\
      """;

  private static final List<Fault> FAULTS =
      List.of(Fault.DOWN, Fault.THROTTLED, Fault.SLOW, Fault.DENIED, Fault.DISABLED);

  private OutageGameDay() {}

  public static void main(String[] args) {
    RemoteExample.main(USAGE, args, OutageGameDay::run);
  }

  static boolean run(Path directory, List<String> arguments, PrintStream out)
      throws IOException, InterruptedException {
    NumberOptions options = new NumberOptions().withWhole("--minute-millis", 100, 50, 60_000);
    Duration minute = Duration.ofMillis(options.parse(arguments).whole("--minute-millis"));
    explain(minute, out);
    List<List<Cell>> columns = new ArrayList<>();
    ExecutorService threads = Executors.newFixedThreadPool(FAULTS.size());
    try {
      List<Future<List<Cell>>> days = new ArrayList<>();
      for (Fault fault : FAULTS) {
        Path place = Files.createDirectory(directory.resolve(fault.toString()));
        days.add(threads.submit(new GameDayRun(place, fault, minute)::run));
      }
      for (Future<List<Cell>> day : days) {
        columns.add(day.get());
      }
    } catch (ExecutionException e) {
      throw new IOException("a fault did what it must not: " + e.getCause(), e.getCause());
    } finally {
      threads.shutdownNow();
      // The others write to the directory, which is deleted after this.
      if (!threads.awaitTermination(1, TimeUnit.MINUTES)) {
        out.println("a run does not end; its directory may be left behind");
      }
    }
    return report(columns, out);
  }

  private static void explain(Duration minute, PrintStream out) {
    out.println(
        String.format(
            Locale.ROOT,
            """
            Five faults of a root key begin just after its key versions were unwrapped, and end.
            1 minute here takes %d ms. A key version is renewed after %d minutes and gone after %d; with
            windows it serves %d minutes longer to encrypt and %d to decrypt, if it is an outage.
            Each message has a data key of its own; data keys that are kept add their own times.
            Without asking, an open circuit says UNAVAILABLE.
            """,
            minute.toMillis(),
            GameDayRun.SOFT,
            GameDayRun.HARD,
            GameDayRun.WINDOW_TO_ENCRYPT,
            GameDayRun.WINDOW_TO_DECRYPT));
  }

  private static boolean report(List<List<Cell>> columns, PrintStream out) {
    StringBuilder heading = new StringBuilder(String.format("%-38s", ""));
    FAULTS.forEach(
        fault ->
            heading.append(String.format(" %-14s", fault.toString().toLowerCase(Locale.ROOT))));
    out.println(heading.toString().stripTrailing());
    int broken = 0;
    int late = 0;
    for (int row = 0; row < columns.get(0).size(); row++) {
      StringBuilder line = new StringBuilder(String.format("%-38s", columns.get(0).get(row).row()));
      for (List<Cell> column : columns) {
        Cell cell = column.get(row);
        line.append(String.format(" %-14s", cell.text() + mark(cell)));
        if (!cell.inTime()) {
          late++;
        } else if (!cell.asPromised()) {
          broken++;
        }
      }
      out.println(line.toString().stripTrailing());
    }
    out.println();
    if (broken > 0) {
      out.printf("FAILED: %d results are not as promised, marked !%n", broken);
    } else if (late > 0) {
      out.printf("TOO LATE: %d results, marked ?; try a longer --minute-millis%n", late);
    } else {
      out.println("PASSED: everything as promised");
    }
    return broken + late == 0;
  }

  private static String mark(Cell cell) {
    if (!cell.inTime()) {
      return " ?";
    }
    return cell.asPromised() ? "" : " !";
  }
}
