package dev.sealwax.kms.examples;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * What the processes of {@link RotateAFleet} tell, a line for each: redrawn in place on a terminal,
 * printed every ten seconds elsewhere.
 */
final class FleetTable {
  /** What is no row but trouble begins so. */
  static final String COMPLAINT = "! ";

  private static final long REDRAW_MILLIS = 200;
  private static final long PRINT_MILLIS = 10_000;
  private static final int MAX_COMPLAINTS = 10;

  private final PrintStream out;
  private final boolean redraws;
  private final List<FleetRow> rows;
  private final List<String> complaints = Collections.synchronizedList(new ArrayList<>());
  private final List<Thread> listeners = new ArrayList<>();
  private boolean shown;

  FleetTable(Terminal terminal, int processes) {
    this.out = terminal.out();
    this.redraws = terminal.console() != null;
    this.rows =
        Collections.synchronizedList(
            new ArrayList<>(Collections.nCopies(processes, FleetRow.NOTHING)));
  }

  /** Follows the next process until it has no more to tell. */
  void listenTo(BufferedReader process) {
    int row = listeners.size();
    Thread listener = new Thread(() -> follow(process, row), "fleet-" + (row + 1));
    listener.setDaemon(true);
    listener.start();
    listeners.add(listener);
  }

  private void follow(BufferedReader process, int row) {
    try (process) {
      for (String line = process.readLine(); line != null; line = process.readLine()) {
        if (!line.startsWith(COMPLAINT)) {
          rows.set(row, FleetRow.parse(line));
        } else if (complaints.size() < MAX_COMPLAINTS) {
          complaints.add("process " + (row + 1) + ": " + line.substring(COMPLAINT.length()));
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Shows what they tell for so long, once all of them work. */
  void showFor(Duration time) throws InterruptedException {
    while (rows.contains(FleetRow.NOTHING) && listeners.stream().allMatch(Thread::isAlive)) {
      Thread.sleep(REDRAW_MILLIS);
    }
    long end = System.nanoTime() + time.toNanos();
    long pause = TimeUnit.MILLISECONDS.toNanos(redraws ? REDRAW_MILLIS : PRINT_MILLIS);
    for (long left = time.toNanos(); left > 0; left = end - System.nanoTime()) {
      show();
      TimeUnit.NANOSECONDS.sleep(Math.min(left, pause));
    }
  }

  /** Waits until all have ended, and shows the table as it stays. */
  void showLast() throws InterruptedException {
    for (Thread listener : listeners) {
      listener.join();
    }
    show();
  }

  private void show() {
    if (redraws && shown) {
      out.printf("\u001b[%dA", rows.size() + 1); // up, to write over it
    }
    shown = true;
    out.println("process  primary   encrypted   decrypted  rotations won  decrypt errors");
    for (int i = 0; i < rows.size(); i++) {
      FleetRow row = rows.get(i);
      out.printf(
          "%7d  %7d  %,10d  %,10d  %13d  %14d%n",
          i + 1, row.primary(), row.encrypted(), row.decrypted(), row.rotations(), row.errors());
    }
    out.flush();
  }

  FleetRow total() {
    return rows.stream().reduce(FleetRow.NOTHING, FleetRow::plus);
  }

  List<String> complaints() {
    return List.copyOf(complaints);
  }
}
