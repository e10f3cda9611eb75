package dev.sealwax.kms.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.keyset.Keyset;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.keyset.RotationPolicy;
import dev.sealwax.kms.store.KeysetModel.Verb;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Several processes change keysets at once by all the operator's verbs, while each encrypts, and
 * decrypts what any has encrypted, under two keysets that are rotated meanwhile. What each has seen
 * and done must be linearizable, and no message may be lost. {@code -Dsealwax.fleet=full} is the
 * full measure: 4 processes, 8 writers, 10,000 changes and ten minutes of load for each store.
 */
@Timeout(value = 40, unit = TimeUnit.MINUTES)
final class FleetProcessesTest {
  private static final FleetSize SIZE = FleetSize.chosen();

  @TempDir Path directory;

  @Test
  void onPostgres_noUpdateAndNoMessageIsLost() throws Exception {
    String url = PostgresServer.shared().freshSchema().getUrl() + "&user=postgres";
    try (ConnectionPool pool = ConnectionPool.of(JdbcStoreChild.dataSource(url))) {
      JdbcKeysetStore.createTables(pool.dataSource());
      run("PostgreSQL", url, JdbcKeysetStore.open(pool.dataSource()));
    }
  }

  @Test
  void onFiles_noUpdateAndNoMessageIsLost() throws Exception {
    Path keysets = directory.resolve("keysets");
    run("files", keysets.toString(), FileKeysetStore.at(keysets));
  }

  private void run(String kind, String place, KeysetStore store) throws Exception {
    long origin = System.nanoTime();
    List<Process> processes = new ArrayList<>();
    try (Kms kms = FleetChild.open(directory, store, FleetChild.clock(origin))) {
      KeysetTemplate template =
          KeysetTemplate.defaults()
              .withRotationPolicy(RotationPolicy.manual())
              .withDestructionWindow(Duration.ofDays(7));
      List<String> names = new ArrayList<>(List.of(FleetChild.STEADY, FleetChild.HASTY));
      for (int i = 0; i < SIZE.keysets(); i++) {
        names.add(FleetChild.keyset(i));
      }
      names.forEach(name -> kms.keysets().create(name, template));
      for (int i = 0; i < SIZE.processes(); i++) {
        processes.add(FleetChild.start(directory, place, i, origin));
      }
      awaitReady(processes);
      long started = System.nanoTime();
      List<FleetCounts> counts = letWork(processes, started);
      long seconds = TimeUnit.NANOSECONDS.toSeconds(System.nanoTime() - started);
      List<OperatorCall> calls = readCalls();
      Map<String, List<OperatorCall>> byKeyset = new HashMap<>();
      calls.forEach(
          call -> byKeyset.computeIfAbsent(call.keyset(), name -> new ArrayList<>()).add(call));
      for (String name : names) {
        Keyset stored = kms.keysets().get(name);
        KeysetHistory.check(byKeyset.get(name), stored.revision(), KeysetModel.of(stored));
      }
      check(counts, kms);
      report(kind, seconds, calls, counts);
    } finally {
      processes.forEach(Process::destroyForcibly);
    }
  }

  private static void awaitReady(List<Process> processes) throws IOException {
    for (Process process : processes) {
      assertEquals(FleetChild.READY, process.inputReader().readLine());
    }
  }

  private static List<FleetCounts> letWork(List<Process> processes, long start) throws Exception {
    for (Process process : processes) {
      process.getOutputStream().write((start + "\n").getBytes(StandardCharsets.US_ASCII));
      process.getOutputStream().flush();
    }
    List<FleetCounts> counts = new ArrayList<>();
    for (Process process : processes) {
      String line = process.inputReader().readLine();
      assertTrue(line != null, "a process has failed; it says above why");
      counts.add(FleetCounts.parse(line));
      assertEquals(0, process.waitFor());
    }
    return counts;
  }

  private List<OperatorCall> readCalls() throws IOException {
    List<OperatorCall> calls = new ArrayList<>();
    for (int i = 0; i < SIZE.allWriters(); i++) {
      Files.readAllLines(directory.resolve("calls-" + i)).stream()
          .map(OperatorCall::parse)
          .forEach(calls::add);
    }
    return calls;
  }

  private static void check(List<FleetCounts> counts, Kms kms) {
    long encrypted = counts.stream().mapToLong(FleetCounts::encrypted).sum();
    int versions =
        kms.keysets().get(FleetChild.STEADY).versions().size()
            + kms.keysets().get(FleetChild.HASTY).versions().size();
    for (FleetCounts process : counts) {
      assertEquals(0, process.failed(), "messages that could not be encrypted or decrypted");
      assertEquals(encrypted, process.decrypted());
      // Else the load has not met the rotations.
      assertTrue(process.versions() > versions / 2, process + " of " + versions);
    }
    // Else the writers have not met each other.
    assertTrue(counts.stream().anyMatch(process -> process.conflicts() > 0), "no conflict");
  }

  private static void report(
      String kind, long seconds, List<OperatorCall> calls, List<FleetCounts> counts) {
    Map<Verb, Integer> done = new TreeMap<>();
    calls.stream().filter(c -> !c.isRefused()).forEach(c -> done.merge(c.verb(), 1, Integer::sum));
    long changes = calls.stream().filter(OperatorCall::isWrite).count();
    long underLoad = calls.stream().filter(FleetProcessesTest::rotatesUnderLoad).count();
    System.out.printf(
        "fleet on %s: %d processes, %d writers, %d s%n"
            + "  %,d changes, each history linearizable: %s%n"
            + "  %,d of them changed the primary under load; %,d refusals, %,d lost races%n"
            + "  %,d messages encrypted, %,d decrypted under %d versions, %d failed%n",
        kind,
        SIZE.processes(),
        SIZE.allWriters(),
        seconds,
        changes,
        done,
        underLoad,
        calls.stream().filter(OperatorCall::isRefused).count(),
        counts.stream().mapToLong(FleetCounts::conflicts).sum(),
        counts.stream().mapToLong(FleetCounts::encrypted).sum(),
        counts.stream().mapToLong(FleetCounts::decrypted).sum(),
        counts.stream().mapToLong(FleetCounts::versions).max().orElse(0),
        counts.stream().mapToLong(FleetCounts::failed).sum());
    assertTrue(changes - underLoad >= SIZE.allChanges(), "too few changes");
  }

  private static boolean rotatesUnderLoad(OperatorCall call) {
    boolean loaded =
        call.keyset().equals(FleetChild.STEADY) || call.keyset().equals(FleetChild.HASTY);
    return loaded && call.isWrite() && call.verb() != Verb.PUBLISH;
  }
}
