package dev.sealwax.kms.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.process.TracedChild;
import dev.sealwax.kms.process.TracedChild.Call;
import dev.sealwax.kms.process.TracedChild.Fault;
import dev.sealwax.kms.process.TracedChild.Script;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
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
  private static final int MIN_KILLS = 50;
  private static final int MIN_ERRORS = 80;
  private static final int MIN_CALLS_OF_ROTATION = 4;
  private static final int SMALL = 300;
  private static final String FRESH = "/.changes.";
  private static final Set<String> CALLS_THAT_NEED_SPACE =
      Set.of("openat", "write", "pwrite64", "fsync", "mkdir", "mkdirat", "rename", "renameat2");
  private static final Set<PosixFilePermission> OWNER_ONLY =
      EnumSet.of(
          PosixFilePermission.OWNER_READ,
          PosixFilePermission.OWNER_WRITE,
          PosixFilePermission.OWNER_EXECUTE);

  /** Processes to be killed, at once: most of their time is the start of a JVM. */
  private static final int CHILDREN = 2;

  @TempDir Path temporary;
  private final BegunTests begun = new BegunTests(CHILDREN);

  @AfterEach
  void stop() {
    begun.close();
  }

  /**
   * What the child finds: how large documents are, how many keysets and leftovers are there
   * already, and whether the first write has to begin the journal anew, which is then all that is
   * killed or failed.
   */
  private record Scene(int size, int keysets, int leftovers, boolean fullJournal) {
    int callsAtLeast(int otherwise) {
      return fullJournal ? MIN_CALLS_OF_ROTATION : otherwise;
    }
  }

  @TestFactory
  Stream<DynamicTest> anyCall_killed_leavesOldOrNewDocument() throws Exception {
    List<DynamicTest> tests = new ArrayList<>();
    for (Scene scene : scenes()) {
      List<Call> calls = callsOf(scene);
      assertTrue(calls.size() >= scene.callsAtLeast(MIN_KILLS), () -> "only " + calls);
      for (Call call : calls) {
        Fault fault = new Fault(call.name(), call.number(), "signal=KILL");
        tests.add(begun.begin(fault + ", " + scene, () -> kill(scene, fault)));
      }
    }
    return tests.stream();
  }

  @TestFactory
  Stream<DynamicTest> anyCall_failed_leavesOldOrNewDocument() throws Exception {
    List<DynamicTest> tests = new ArrayList<>();
    for (Scene scene : scenes()) {
      List<Fault> faults = new ArrayList<>();
      for (Call call : callsOf(scene)) {
        if (!call.arguments().startsWith("1,")) { // not the child's report on its standard output
          faults.add(new Fault(call.name(), call.number(), "error=EIO"));
          if (CALLS_THAT_NEED_SPACE.contains(call.name())) {
            faults.add(new Fault(call.name(), call.number(), "error=ENOSPC"));
          }
        }
      }
      assertTrue(faults.size() >= scene.callsAtLeast(MIN_ERRORS), () -> "only " + faults);
      for (Failed failed : fail(faults, scene)) {
        tests.add(
            DynamicTest.dynamicTest(
                failed.fault + ", " + scene, () -> requireRecovered(scene, failed)));
      }
    }
    return tests.stream();
  }

  private static List<Scene> scenes() {
    List<Scene> scenes =
        new ArrayList<>(List.of(new Scene(SMALL, 0, 0, false), new Scene(SMALL, 0, 0, true)));
    if ("full".equals(System.getProperty("sealwax.faults"))) {
      scenes.add(new Scene(200_000, 0, 0, false));
      scenes.add(new Scene(4_000, 40, 2, false));
      scenes.add(new Scene(1, 1, 1, false));
    }
    return scenes;
  }

  /** The calls of a script without faults, as far as the scene is about them. */
  private List<Call> callsOf(Scene scene) throws Exception {
    Path scratch = Files.createTempDirectory(temporary, "dry-run");
    try (TracedChild child =
        TracedChild.start(scratch, KeysetStoreChild.scripts(scratch, scene.size))) {
      Script dryRun = child.run(stage(scratch, scene), null);
      assertTrue(dryRun.finished(), () -> "dry run failed: " + dryRun.output());
      assertEquals(List.of("ack 1", "ack 2", "ack 3"), dryRun.output());
      return scene.fullJournal ? ofTheJournalsRotation(dryRun.calls()) : dryRun.calls();
    }
  }

  private static List<Call> ofTheJournalsRotation(List<Call> script) {
    List<Call> named = script.stream().filter(call -> call.arguments().contains(FRESH)).toList();
    assertEquals(2, named.size(), () -> "opened and moved into place: " + named);
    return script.subList(script.indexOf(named.get(0)), script.indexOf(named.get(1)) + 1);
  }

  private record Failed(Fault fault, Path directory, Script script) {}

  /** One script for each fault, all in one process, which has ended when they are looked at. */
  private List<Failed> fail(List<Fault> faults, Scene scene) throws Exception {
    List<Failed> all = new ArrayList<>();
    Path home = Files.createTempDirectory(temporary, "faults");
    try (TracedChild child = TracedChild.start(home, KeysetStoreChild.scripts(home, scene.size))) {
      for (Fault fault : faults) {
        Path directory = stage(Files.createTempDirectory(home, "fault"), scene);
        Script script = child.run(directory, fault);
        assertTrue(script.finished(), () -> fault + ": did not recover: " + script.output());
        all.add(new Failed(fault, directory, script));
      }
    }
    return all;
  }

  private void kill(Scene scene, Fault fault) throws Exception {
    Path scratch = Files.createTempDirectory(temporary, "kill");
    Path directory = stage(scratch, scene);
    try (TracedChild child =
        TracedChild.start(scratch, KeysetStoreChild.scripts(scratch, scene.size))) {
      Script script = child.run(directory, fault);
      assertTrue(!script.finished() && child.isKilled(), () -> "was not killed: " + script);
      requireOldOrNew(scene, directory, script);
    }
  }

  private static void requireRecovered(Scene scene, Failed failed) throws Exception {
    List<String> output = failed.script.output();
    assertTrue(failed.script.injected(), () -> "no call was failed: " + output);
    output.stream()
        .filter(line -> line.startsWith("fail"))
        .forEach(line -> assertEquals("UNAVAILABLE", line.split(" ")[2], line));
    if (scene.fullJournal) {
      requireNoFileLeft(failed);
    }
    requireOldOrNew(scene, failed.directory, failed.script);
  }

  private static void requireNoFileLeft(Failed failed) throws Exception {
    try (Stream<Path> files = Files.list(failed.directory)) {
      List<String> names = files.map(file -> file.getFileName().toString()).sorted().toList();
      assertEquals(List.of(".changes", ".lock", "orders.json"), names);
    }
  }

  private static void requireOldOrNew(Scene scene, Path directory, Script script) throws Exception {
    int acknowledged =
        (int) script.output().stream().filter(line -> line.startsWith("ack")).count();
    try (FileKeysetStore store = FileKeysetStore.at(directory)) {
      StoredKeyset stored = store.load(KeysetStoreChild.ORDERS).orElse(null);
      int revision = stored == null ? 0 : (int) stored.revision();
      if (script.finished()) {
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
        assertTrue(
            names.stream().allMatch(FileKeysetStoreFaultsTest::isNoLeftover), names::toString);
      }
    }
    requireOwnerOnly(directory);
  }

  private static boolean isNoLeftover(String name) {
    return name.endsWith(".json") || name.equals(".changes") || name.equals(".lock");
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
    if (scene.fullJournal) {
      FileKeysetStore.at(directory).close();
      Path journal = directory.resolve(".changes");
      Files.createFile(journal, DirectoryEntry.ownerOnlyFile(journal));
      Files.write(journal, new byte[ChangeJournal.MAX_BYTES]);
    }
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
