package dev.sealwax.kms.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.store.SystemCallTrace.Call;
import dev.sealwax.kms.store.SystemCallTrace.Fault;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/**
 * Kills a process, or fails its system call, at every call by which creating, rotating and
 * destroying a keyset touches the disk, one run per call.
 *
 * <p>{@code -Dsealwax.faults=full} repeats it with other document sizes and directories that have a
 * history. What a power failure adds (losing what was written but not synced) is {@code
 * FileKeysetStorePowerLossTest}'s.
 */
final class FileKeysetStoreFaultsTest {
  private static final int MIN_POINTS = 100;
  private static final int SMALL = 300;
  private static final String FRESH = "/.changes.";
  private static final Set<String> CALLS_THAT_NEED_SPACE =
      Set.of("openat", "write", "pwrite64", "fsync", "mkdir", "mkdirat", "rename", "renameat2");
  private static final Set<PosixFilePermission> OWNER_ONLY =
      EnumSet.of(
          PosixFilePermission.OWNER_READ,
          PosixFilePermission.OWNER_WRITE,
          PosixFilePermission.OWNER_EXECUTE);

  /** A child and its tracer take turns, so one of them leaves a second processor idle. */
  private static final int CHILDREN = 2;

  @TempDir Path temporary;
  private final ExecutorService threads = Executors.newFixedThreadPool(CHILDREN);

  @AfterEach
  void stop() {
    threads.shutdownNow();
  }

  /**
   * What the child finds: how large documents are, and how many keysets and leftovers are there
   * already.
   */
  private record Scene(int size, int keysets, int leftovers) {}

  @TestFactory
  Stream<DynamicTest> anyCall_killedOrFailed_leavesOldOrNewDocument() throws Exception {
    List<Scene> scenes = new ArrayList<>(List.of(new Scene(SMALL, 0, 0)));
    if ("full".equals(System.getProperty("sealwax.faults"))) {
      scenes.add(new Scene(200_000, 0, 0));
      scenes.add(new Scene(4_000, 40, 2));
      scenes.add(new Scene(1, 1, 1));
    }
    List<DynamicTest> tests = new ArrayList<>();
    for (Scene scene : scenes) {
      for (Fault fault : faultsOf(scene)) {
        tests.add(begun(fault + ", " + scene, () -> inject(scene, fault)));
      }
    }
    assertTrue(
        tests.size() >= MIN_POINTS * scenes.size(), () -> "only " + tests.size() + " faults");
    return tests.stream();
  }

  @TestFactory
  Stream<DynamicTest> anyCallOfTheJournalsRotation_failed_leavesNoFileBehind() throws Exception {
    Path scratch = Files.createTempDirectory(temporary, "dry-run");
    List<Call> script =
        SystemCallTrace.run(scratch, stageFullJournal(scratch), SMALL, null).script();
    List<Call> named = script.stream().filter(call -> call.arguments().contains(FRESH)).toList();
    assertEquals(2, named.size(), () -> "opened and moved into place: " + named);
    List<DynamicTest> tests = new ArrayList<>();
    for (Call call :
        script.subList(script.indexOf(named.get(0)), script.indexOf(named.get(1)) + 1)) {
      Fault fault = new Fault(call.name(), call.number(), "error=EIO");
      tests.add(begun(fault.toString(), () -> failRotation(fault)));
    }
    assertTrue(tests.size() >= 4, () -> "only " + tests.size() + " calls");
    return tests.stream();
  }

  private interface Case {
    void run() throws Exception;
  }

  /** A test that has begun, beside others; JUnit waits for its end. */
  private DynamicTest begun(String name, Case test) {
    Future<?> end =
        threads.submit(
            () -> {
              test.run();
              return null;
            });
    return DynamicTest.dynamicTest(
        name,
        () -> {
          try {
            end.get();
          } catch (ExecutionException e) {
            throw e.getCause();
          }
        });
  }

  private void failRotation(Fault fault) throws Exception {
    Path scratch = Files.createTempDirectory(temporary, "fault");
    Path directory = stageFullJournal(scratch);
    SystemCallTrace run = SystemCallTrace.run(scratch, directory, SMALL, fault);
    assertTrue(run.finished() && run.injected(), () -> "did not recover: " + run.output());
    try (Stream<Path> files = Files.list(directory)) {
      List<String> names = files.map(file -> file.getFileName().toString()).sorted().toList();
      assertEquals(List.of(".changes", ".lock", "orders.json"), names);
    }
  }

  private static Path stageFullJournal(Path scratch) throws Exception {
    Path directory = Files.createDirectory(scratch.resolve("keysets"));
    Files.write(directory.resolve(".changes"), new byte[ChangeJournal.MAX_BYTES]);
    return directory;
  }

  /** A run without faults, to learn which calls the script makes. */
  private List<Fault> faultsOf(Scene scene) throws Exception {
    Path scratch = Files.createTempDirectory(temporary, "dry-run");
    SystemCallTrace dryRun = SystemCallTrace.run(scratch, stage(scratch, scene), scene.size, null);
    assertTrue(dryRun.finished(), () -> "dry run failed: " + dryRun.output());
    assertEquals(List.of("ack 1", "ack 2", "ack 3"), dryRun.output());
    List<Fault> faults = new ArrayList<>();
    for (Call call : dryRun.script()) {
      faults.add(new Fault(call.name(), call.number(), "signal=KILL"));
      if (!call.arguments().startsWith("1,")) { // not the child's report on its standard output
        faults.add(new Fault(call.name(), call.number(), "error=EIO"));
        if (CALLS_THAT_NEED_SPACE.contains(call.name())) {
          faults.add(new Fault(call.name(), call.number(), "error=ENOSPC"));
        }
      }
      assertTrue(dryRun.isUnique(call), () -> call + " cannot be told from the JVM's own calls");
    }
    return faults;
  }

  private void inject(Scene scene, Fault fault) throws Exception {
    Path scratch = Files.createTempDirectory(temporary, "fault");
    Path directory = stage(scratch, scene);
    SystemCallTrace run = SystemCallTrace.run(scratch, directory, scene.size, fault);
    List<String> output = run.output();
    if (fault.effect().startsWith("signal")) {
      assertTrue(run.killed(), () -> "was not killed: " + output);
    } else {
      assertTrue(run.finished(), () -> "did not recover: " + output);
      assertTrue(run.injected(), () -> "no call was failed: " + output);
      output.stream()
          .filter(line -> line.startsWith("fail"))
          .forEach(line -> assertEquals("UNAVAILABLE", line.split(" ")[2], line));
    }
    long acknowledged = output.stream().filter(line -> line.startsWith("ack")).count();
    requireOldOrNew(scene, directory, (int) acknowledged, run.finished());
    requireOwnerOnly(directory);
  }

  private static void requireOldOrNew(Scene scene, Path directory, int acknowledged, boolean done) {
    try (FileKeysetStore store = FileKeysetStore.at(directory)) {
      StoredKeyset stored = store.load(KeysetStoreChild.ORDERS).orElse(null);
      int revision = stored == null ? 0 : (int) stored.revision();
      if (done) {
        assertEquals(KeysetStoreChild.REVISIONS, acknowledged);
        assertEquals(acknowledged, revision, "the last acknowledged document");
      } else {
        assertTrue(
            revision == acknowledged || revision == acknowledged + 1,
            () -> "acknowledged revision " + acknowledged + ", found " + stored);
      }
      if (stored != null) {
        assertEquals(KeysetStoreChild.keyset(revision, scene.size), stored, "the whole document");
      }
      requireWorking(store, revision);
      assertEquals(scene.keysets + 1, store.list(1000).size(), "listed keysets");
      try (Stream<Path> files = Files.list(directory)) {
        List<String> names = files.map(file -> file.getFileName().toString()).toList();
        assertTrue(names.stream().noneMatch(name -> name.endsWith(".tmp")), names::toString);
      }
    } catch (java.io.IOException e) {
      throw new AssertionError(e);
    }
  }

  private static void requireWorking(FileKeysetStore store, int revision) {
    StoredKeyset next =
        new StoredKeyset(
            KeysetStoreChild.ORDERS, revision + 1, "{\"revision\":" + (revision + 1) + "}");
    if (revision == 0) {
      store.create(next);
    } else {
      store.replace(next);
    }
    assertEquals(next, store.load(next.id()).orElseThrow());
  }

  private static void requireOwnerOnly(Path directory) throws Exception {
    try (Stream<Path> files = Files.walk(directory)) {
      for (Path file : files.toList()) {
        Set<PosixFilePermission> permissions = Files.getPosixFilePermissions(file);
        assertTrue(OWNER_ONLY.containsAll(permissions), () -> file + " has " + permissions);
      }
    }
  }

  private static Path stage(Path scratch, Scene scene) throws Exception {
    Path directory = scratch.resolve("keysets");
    if (scene.keysets + scene.leftovers > 0) {
      try (FileKeysetStore store = FileKeysetStore.at(directory)) {
        for (int i = 0; i < scene.keysets; i++) {
          store.create(
              new StoredKeyset(
                  dev.sealwax.kms.vocabulary.KeysetId.of("other-" + i), 1, "{\"revision\":1}"));
        }
        for (int i = 0; i < scene.leftovers; i++) {
          KeysetDirectory.open(directory).writeTemporary(KeysetStoreChild.ORDERS, "{\"revision\":");
        }
      }
    }
    return directory;
  }
}
