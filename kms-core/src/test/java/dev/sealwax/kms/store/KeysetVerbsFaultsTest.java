package dev.sealwax.kms.store;

import static dev.sealwax.kms.store.KeysetVerbsChild.ORDERS;
import static dev.sealwax.kms.store.KeysetVerbsChild.VERBS;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.keyset.KeyState;
import dev.sealwax.kms.keyset.KeyVersion;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.keyset.ManualTime;
import dev.sealwax.kms.process.TracedChild;
import dev.sealwax.kms.process.TracedChild.Call;
import dev.sealwax.kms.process.TracedChild.Fault;
import dev.sealwax.kms.process.TracedChild.Script;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/**
 * What {@link FileKeysetStoreFaultsTest} does to documents, done to the operator's verbs: whatever
 * fails, the keyset opens and is the old or the new one.
 *
 * <p>Killed where a write takes effect, and with {@code -Dsealwax.faults=full} at every call.
 */
final class KeysetVerbsFaultsTest {
  /** At these a kill can leave something new: what is written becomes durable, or visible. */
  private static final Set<String> TURNS = Set.of("fsync", "rename");

  private static final int MIN_CALLS = 60;
  private static final List<List<KeyState>> STATES =
      List.of(
          List.of(KeyState.ENABLED),
          List.of(KeyState.ENABLED, KeyState.ENABLED),
          List.of(KeyState.DESTRUCTION_SCHEDULED, KeyState.ENABLED),
          List.of(KeyState.DESTROYED, KeyState.ENABLED));

  @TempDir Path temporary;
  private final BegunTests begun = new BegunTests(2);
  private Path rootKey;

  @BeforeEach
  void createRootKey() {
    rootKey = temporary.resolve("root.key");
    try (KeyMaterial sealingKey = KeyMaterial.owning(new byte[32])) {
      LocalRootKey.create(rootKey, sealingKey).close();
    }
  }

  @AfterEach
  void stop() {
    begun.close();
  }

  @TestFactory
  Stream<DynamicTest> anyCallOfAVerb_killed_leavesOldOrNewKeyset() throws Exception {
    List<DynamicTest> tests = new ArrayList<>();
    for (Call call : calls()) {
      if (TURNS.contains(call.name()) || "full".equals(System.getProperty("sealwax.faults"))) {
        Fault fault = new Fault(call.name(), call.number(), "signal=KILL");
        tests.add(begun.begin(fault.toString(), () -> kill(fault)));
      }
    }
    assertTrue(tests.size() >= 2 * VERBS, () -> "only " + tests);
    return tests.stream();
  }

  private void kill(Fault fault) throws Exception {
    Path scratch = Files.createTempDirectory(temporary, "kill");
    Path directory = scratch.resolve("keysets");
    try (TracedChild child = start(scratch)) {
      Script script = child.run(directory, fault);
      assertTrue(!script.finished() && child.isKilled(), () -> "was not killed: " + script);
      requireOldOrNew(directory, script);
    }
  }

  @TestFactory
  Stream<DynamicTest> anyCallOfAVerb_failed_leavesOldOrNewKeyset() throws Exception {
    List<DynamicTest> tests = new ArrayList<>();
    Path home = Files.createTempDirectory(temporary, "faults");
    List<Call> calls = calls();
    try (TracedChild child = start(home)) {
      for (Call call : calls) {
        if (!call.arguments().startsWith("1,")) { // not the child's report on its standard output
          Fault fault = new Fault(call.name(), call.number(), "error=EIO");
          Path directory = Files.createTempDirectory(home, "fault").resolve("keysets");
          Script script = child.run(directory, fault);
          assertTrue(script.finished(), () -> fault + ": did not recover: " + script.output());
          tests.add(
              DynamicTest.dynamicTest(fault.toString(), () -> requireRecovered(directory, script)));
        }
      }
    }
    return tests.stream();
  }

  private void requireRecovered(Path directory, Script script) {
    assertTrue(script.injected(), () -> "no call was failed: " + script.output());
    script.output().stream()
        .filter(line -> line.startsWith("fail"))
        .forEach(line -> assertEquals("UNAVAILABLE", line.split(" ")[2], line));
    requireOldOrNew(directory, script);
  }

  private TracedChild start(Path scratch) throws Exception {
    return TracedChild.start(scratch, KeysetVerbsChild.command(scratch, rootKey));
  }

  /** The calls of a script without faults. */
  private List<Call> calls() throws Exception {
    Path scratch = Files.createTempDirectory(temporary, "dry-run");
    try (TracedChild child = start(scratch)) {
      Script dryRun = child.run(scratch.resolve("keysets"), null);
      assertTrue(dryRun.finished(), () -> "dry run failed: " + dryRun.output());
      assertEquals(List.of("ack 1", "ack 2", "ack 3", "ack 4"), dryRun.output());
      assertTrue(dryRun.calls().size() >= MIN_CALLS, () -> "only " + dryRun.calls());
      return dryRun.calls();
    }
  }

  private void requireOldOrNew(Path directory, Script script) {
    long acknowledged = script.output().stream().filter(line -> line.startsWith("ack")).count();
    ManualTime clock = new ManualTime();
    clock.advance(KeysetVerbsChild.WINDOW);
    try (RootKey root = KeysetVerbsChild.openRootKey(rootKey);
        Kms kms = KeysetVerbsChild.open(directory, root, clock)) {
      long revision = KeysetVerbsChild.revision(kms);
      if (script.finished()) {
        assertEquals(VERBS, acknowledged);
        assertEquals(acknowledged, revision, "each verb once");
      } else {
        assertTrue(
            revision == acknowledged || revision == acknowledged + 1,
            () -> "acknowledged " + acknowledged + " verbs, found revision " + revision);
      }
      if (revision == 0) {
        kms.keysets().create(ORDERS, KeysetTemplate.defaults());
      } else {
        assertEquals(
            STATES.get((int) revision - 1),
            kms.keysets().get(ORDERS).versions().stream().map(KeyVersion::state).toList());
      }
      requireWorking(kms);
    }
  }

  private static void requireWorking(Kms kms) {
    EnvelopeCipher cipher = kms.envelopeCipher(ORDERS);
    byte[] message = "message".getBytes(StandardCharsets.US_ASCII);
    byte[] sealed = cipher.encrypt(message, EncryptionContext.empty());
    long revision = kms.keysets().get(ORDERS).revision();
    assertEquals(revision + 1, kms.keysets().rotate(ORDERS).revision());
    assertArrayEquals(message, cipher.decrypt(sealed, EncryptionContext.empty()));
  }
}
