package dev.sealwax.kms.rootkey;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.process.TracedChild;
import dev.sealwax.kms.process.TracedChild.Call;
import dev.sealwax.kms.process.TracedChild.Fault;
import dev.sealwax.kms.process.TracedChild.Script;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/**
 * Kills a process, or fails its system call, at every call by which creating a root key file and
 * sealing it anew touch the disk, one run per call; and holds the order of those calls to what a
 * power failure asks for.
 *
 * <p>With supplied keys, for speed: a passphrase changes nothing about the file's way to the disk.
 */
final class LocalRootKeyFaultsTest {
  private static final int CHANGES = 2; // created and sealed anew
  private static final int MIN_CALLS = 16; // open, write, sync, close, name and the directory's
  private static final Set<String> CALLS_THAT_NEED_SPACE =
      Set.of("openat", "write", "pwrite64", "fsync", "link", "linkat", "rename", "renameat2");
  private static final Pattern QUOTED = Pattern.compile("\"([^\"]*)\"");
  private static final String LEFTOVER = "\\.sealwax-[0-9a-f]{16}\\.tmp";

  @TempDir Path temporary;

  /** [LRK-21] */
  @TestFactory
  Stream<DynamicTest> anyCall_killed_leavesOldOrNewFile() throws Exception {
    return run(null).calls().stream()
        .map(call -> new Fault(call.name(), call.number(), "signal=KILL"))
        .map(fault -> DynamicTest.dynamicTest(fault.toString(), () -> kill(fault)));
  }

  private void kill(Fault fault) throws Exception {
    Run run = run(fault);
    assertFalse(run.script.finished(), () -> "was not killed: " + run.script);
    requireOldOrNew(run);
    requireWorking(run);
  }

  /** [LRK-21] [LRK-24]: and since the process lives on, it tidies up. */
  @TestFactory
  Stream<DynamicTest> anyCall_failed_leavesOldOrNewFile() throws Exception {
    List<Fault> faults = new ArrayList<>();
    for (Call call : run(null).calls()) {
      if (!call.arguments().startsWith("1,")) { // not the child's report on its standard output
        faults.add(new Fault(call.name(), call.number(), "error=EIO"));
        if (CALLS_THAT_NEED_SPACE.contains(call.name())) {
          faults.add(new Fault(call.name(), call.number(), "error=ENOSPC"));
        }
      }
    }
    List<DynamicTest> tests = new ArrayList<>();
    Path home = Files.createTempDirectory(temporary, "faults");
    try (TracedChild child = TracedChild.start(home, RootKeyChild.command("scripts", "" + home))) {
      for (Fault fault : faults) {
        Path directory = Files.createTempDirectory(home, "fault");
        Run run = new Run(directory, child.run(directory, fault));
        assertTrue(run.script.finished(), () -> fault + ": not recovered: " + run.script.output());
        tests.add(DynamicTest.dynamicTest(fault.toString(), () -> requireRecovered(run)));
      }
    }
    return tests.stream();
  }

  private static void requireRecovered(Run run) throws Exception {
    assertTrue(run.script.injected(), () -> "no call was failed: " + run.script.output());
    List<String> failures =
        run.script.output().stream().filter(line -> line.startsWith("fail")).toList();
    assertEquals(1, failures.size(), failures::toString);
    assertEquals("INTERNAL", failures.get(0).split(" ")[1], failures.get(0));
    assertEquals(List.of(), leftovers(run.directory));
    requireOldOrNew(run);
    requireWorking(run);
  }

  /** [LRK-19] [LRK-21] */
  @Test
  void calls_syncTheFileBeforeItsNameAndTheDirectoryAfterIt() throws Exception {
    Run run = run(null);
    Map<String, String> open = new HashMap<>(); // paths by descriptor
    Set<String> unsynced = new HashSet<>();
    List<String> named = new ArrayList<>();
    String directory = run.directory.toString();
    for (Call call : run.calls()) {
      List<String> quoted =
          QUOTED.matcher(call.arguments()).results().map((MatchResult r) -> r.group(1)).toList();
      switch (call.name()) {
        case "openat", "open" -> {
          open.put(call.result(), quoted.get(0));
          if (call.arguments().contains("O_CREAT")) {
            assertTrue(call.arguments().matches(".*O_EXCL.*, 0600"), call::toString);
          }
        }
        case "write", "pwrite64" -> {
          String descriptor = call.arguments().substring(0, call.arguments().indexOf(','));
          if (descriptor.equals("1")) {
            assertEquals(Set.of(), unsynced, () -> "acknowledged too early: " + call);
          } else {
            unsynced.add(open.get(descriptor));
          }
        }
        case "fsync" -> unsynced.remove(open.get(call.arguments()));
        case "link", "linkat", "rename", "renameat", "renameat2" -> {
          assertFalse(unsynced.contains(quoted.get(0)), () -> "named too early: " + call);
          assertEquals(RootKeyChild.fileIn(run.directory).toString(), quoted.get(1));
          named.add(call.name().substring(0, 4));
          unsynced.add(directory);
        }
        case "unlink", "unlinkat" -> unsynced.add(directory);
        case "close" -> open.remove(call.arguments());
        default -> throw new AssertionError("what does " + call + " do to the disk?");
      }
    }
    assertEquals(List.of("link", "rena"), named);
  }

  private record Run(Path directory, Script script) {
    /** Its calls, but for files elsewhere: what an owner is called is read from /etc/passwd. */
    List<Call> calls() {
      List<Call> own = new ArrayList<>();
      Set<String> elsewhere = new HashSet<>();
      for (Call call : script.calls()) {
        if (call.name().startsWith("open") && !call.arguments().contains(directory.toString())) {
          elsewhere.add(call.result());
        } else if (!call.name().equals("close") || !elsewhere.remove(call.arguments())) {
          own.add(call);
        }
      }
      return own;
    }

    int acknowledged() {
      return (int) script.output().stream().filter(RootKeyChild.ACK::equals).count();
    }
  }

  private Run run(@Nullable Fault fault) throws Exception {
    Path scratch = Files.createTempDirectory(temporary, "run");
    Path directory = Files.createDirectory(scratch.resolve("keys"));
    try (TracedChild child =
        TracedChild.start(scratch, RootKeyChild.command("scripts", scratch.toString()))) {
      Run run = new Run(directory, child.run(directory, fault));
      if (fault == null) {
        assertTrue(run.script.finished(), () -> "dry run failed: " + run.script.output());
        assertEquals(CHANGES, run.acknowledged());
        assertTrue(run.calls().size() >= MIN_CALLS, () -> "only " + run.calls());
      } else {
        assertTrue(child.isKilled(), () -> "was not killed: " + run.script);
      }
      return run;
    }
  }

  private static void requireOldOrNew(Run run) throws Exception {
    int acknowledged = run.acknowledged();
    int state = stateOf(RootKeyChild.fileIn(run.directory));
    assertTrue(
        state == acknowledged || (!run.script.finished() && state == acknowledged + 1),
        () -> "acknowledged " + acknowledged + ", found sealing key " + state);
    for (Path leftover : leftovers(run.directory)) {
      assertTrue(leftover.getFileName().toString().matches(LEFTOVER), leftover::toString);
      assertEquals(
          "rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(leftover)));
    }
  }

  /** 0 if there is no file, else the number of the sealing key that opens it. */
  private static int stateOf(Path file) {
    if (Files.notExists(file)) {
      return 0;
    }
    try (KeyMaterial first = RootKeyChild.sealingKey(1)) {
      LocalRootKey.open(file, first).close();
      return 1;
    } catch (RootKeyException e) {
      try (KeyMaterial second = RootKeyChild.sealingKey(2)) {
        LocalRootKey.open(file, second).close();
        return 2;
      }
    }
  }

  private static void requireWorking(Run run) {
    Path file = RootKeyChild.fileIn(run.directory);
    int state = stateOf(file);
    try (KeyMaterial present = RootKeyChild.sealingKey(Math.max(state, 1));
        KeyMaterial next = RootKeyChild.sealingKey(3)) {
      if (state == 0) {
        LocalRootKey.create(file, present).close();
      }
      LocalRootKey.changeSealingKey(file, present, next);
      LocalRootKey.open(file, next).close();
    }
  }

  private static List<Path> leftovers(Path directory) throws Exception {
    try (Stream<Path> files = Files.list(directory)) {
      return files.filter(file -> !file.equals(RootKeyChild.fileIn(directory))).toList();
    }
  }
}
