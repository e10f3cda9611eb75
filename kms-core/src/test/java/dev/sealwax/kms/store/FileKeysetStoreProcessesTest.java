package dev.sealwax.kms.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.JsonFactory;
import dev.sealwax.kms.Kms;
import dev.sealwax.kms.keyset.Keyset;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.process.ChildJvm;
import dev.sealwax.kms.store.RotatingChild.Rotation;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import java.io.BufferedReader;
import java.io.IOException;
import java.lang.ProcessBuilder.Redirect;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.slf4j.Logger;
import org.slf4j.simple.SimpleLoggerFactory;

/**
 * Two processes write the same keysets at once: documents by compare-and-set, and versions by
 * rotation, of which {@code -Dsealwax.fleet=full} makes 10,000.
 */
@Timeout(900)
final class FileKeysetStoreProcessesTest {
  private static final int PROCESSES = 2;
  private static final int WRITES = 5_000;

  /** Of each keyset by each process: 2,000 in a build, 10,000 in full. */
  private static final int ROTATIONS = 50;

  private static final int KEYSETS = FleetSize.isFull() ? 100 : 20;

  @TempDir Path directory;

  @Test
  void replace_byTwoProcesses_losesNothing() throws Exception {
    try (FileKeysetStore store = FileKeysetStore.at(directory)) {
      store.create(KeysetStoreChild.keyset(1, 10));
      List<Process> writers = new ArrayList<>();
      for (int i = 0; i < PROCESSES; i++) {
        writers.add(start("increment", directory.toString(), Integer.toString(WRITES)));
      }
      List<BufferedReader> outputs = new ArrayList<>();
      for (Process writer : writers) {
        BufferedReader output = writer.inputReader(StandardCharsets.US_ASCII);
        assertEquals(KeysetStoreChild.READY, output.readLine());
        outputs.add(output);
      }
      for (Process writer : writers) {
        writer.outputWriter(StandardCharsets.US_ASCII).append('!').flush();
      }
      long conflicts = 0;
      for (BufferedReader output : outputs) {
        conflicts += Long.parseLong(String.valueOf(output.readLine()));
      }
      assertTrue(conflicts > 0, "the processes have not met");
      assertEquals(
          1 + PROCESSES * WRITES, store.load(KeysetStoreChild.ORDERS).orElseThrow().revision());
    }
  }

  @Test
  void rotate_byTwoProcesses_losesNoVersionAndNoMessage() throws Exception {
    Path keysets = directory.resolve("keysets");
    List<Process> rotating = new ArrayList<>();
    long conflicts = 0;
    try (Kms kms = FleetChild.open(directory, RotatingChild.open(keysets), Clock.systemUTC())) {
      for (int i = 0; i < PROCESSES; i++) {
        rotating.add(RotatingChild.start(directory, keysets, ROTATIONS));
      }
      for (int i = 0; i < KEYSETS; i++) {
        String name = "orders-" + i;
        kms.keysets().create(name, KeysetTemplate.defaults());
        for (Process process : rotating) { // both at once: else one would run ahead
          process.outputWriter(StandardCharsets.US_ASCII).append(name).append('\n').flush();
        }
        Map<Integer, Rotation> rotations = new HashMap<>();
        for (Process process : rotating) {
          conflicts += read(process, rotations);
        }
        requireAll(kms, keysets, name, rotations);
      }
    } finally {
      rotating.forEach(Process::destroyForcibly);
    }
    assertTrue(conflicts > 0, "the processes have not met");
  }

  /** Adds the versions that a process has added to a keyset; tells how often it came too late. */
  private static long read(Process process, Map<Integer, Rotation> rotations) throws IOException {
    BufferedReader output = process.inputReader(StandardCharsets.US_ASCII);
    while (true) {
      String line = output.readLine();
      assertTrue(line != null, "a process has failed; it says above why");
      if (line.startsWith(RotatingChild.DONE)) {
        return Long.parseLong(line.substring(RotatingChild.DONE.length() + 1));
      }
      Rotation rotation = Rotation.parse(line);
      Rotation other = rotations.put(rotation.version(), rotation);
      assertNull(other, () -> "added twice: " + rotation + " and " + other);
    }
  }

  private static void requireAll(
      Kms kms, Path keysets, String name, Map<Integer, Rotation> rotations) {
    int versions = 1 + PROCESSES * ROTATIONS;
    Keyset keyset = kms.keysets().get(name);
    assertEquals(versions, keyset.versions().size());
    assertEquals(versions, keyset.primary());
    assertEquals(versions, keyset.revision());
    List<String> wrapped;
    try (FileKeysetStore store = RotatingChild.open(keysets)) {
      wrapped = RotatingChild.wrapped(store.load(KeysetId.of(name)).orElseThrow());
    }
    for (int version = 2; version <= versions; version++) {
      Rotation rotation = rotations.get(version);
      assertNotNull(rotation, "nobody has added version " + version);
      assertEquals(rotation.wrapped(), wrapped.get(version - 1), "key of version " + version);
      byte[] opened =
          kms.envelopeCipher(name)
              .decrypt(Base64.getDecoder().decode(rotation.sealed()), EncryptionContext.empty());
      assertEquals(Integer.toString(version), new String(opened, StandardCharsets.US_ASCII));
    }
  }

  @Test
  void write_whileAnotherProcessHoldsTheLock_isUnavailableAndChangesNothing() throws Exception {
    try (FileKeysetStore store = FileKeysetStore.at(directory, Duration.ofMillis(200))) {
      store.create(KeysetStoreChild.keyset(1, 10));
      Process holder = start("hold", directory.toString());
      assertEquals("holding", holder.inputReader(StandardCharsets.US_ASCII).readLine());

      KeysetStoreException refused =
          assertThrows(
              KeysetStoreException.class, () -> store.replace(KeysetStoreChild.keyset(2, 10)));
      assertEquals(KeysetStoreException.Reason.UNAVAILABLE, refused.reason());
      assertTrue(
          refused.getMessage().contains("another process kept the lock"), refused.getMessage());
      assertEquals(1, store.load(KeysetStoreChild.ORDERS).orElseThrow().revision());

      holder.destroyForcibly().waitFor();
      store.replace(KeysetStoreChild.keyset(2, 10));
      assertEquals(2, store.load(KeysetStoreChild.ORDERS).orElseThrow().revision());
    }
  }

  /** In a process of its own, because this one logs no INFO. */
  @Test
  void at_whereNoDirectoryIs_saysThatTheStoreIsNewAndEmpty() throws Exception {
    Path misspelt = directory.resolve("keystes");
    String first = logOfOpening(misspelt);
    assertTrue(first.contains("INFO"), first);
    assertTrue(first.contains("no directory " + misspelt + ": made it for an empty"), first);
    String second = logOfOpening(misspelt);
    assertFalse(second.contains("made it"), second);
  }

  private static String logOfOpening(Path keysets) throws Exception {
    List<Class<?>> libraries = List.of(JsonFactory.class, Logger.class, SimpleLoggerFactory.class);
    Process opening =
        new ProcessBuilder(
                ChildJvm.command(KeysetStoreChild.class, libraries, "open", keysets.toString()))
            .redirectErrorStream(true)
            .start();
    String log =
        new String(opening.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
    assertEquals(0, opening.waitFor(), log);
    return log;
  }

  private static Process start(String... args) throws IOException {
    return new ProcessBuilder(KeysetStoreChild.command(args))
        .redirectError(Redirect.INHERIT)
        .start();
  }
}
