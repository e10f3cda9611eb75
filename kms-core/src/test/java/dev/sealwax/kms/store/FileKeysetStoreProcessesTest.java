package dev.sealwax.kms.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.vocabulary.KeysetStoreException;
import java.io.IOException;
import java.lang.ProcessBuilder.Redirect;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(300)
final class FileKeysetStoreProcessesTest {
  private static final int PROCESSES = 2;
  private static final int WRITES = 5_000;

  @TempDir Path directory;

  @Test
  void replace_byTwoProcesses_losesNothing() throws Exception {
    try (FileKeysetStore store = FileKeysetStore.at(directory)) {
      store.create(KeysetStoreChild.keyset(1, 10));
      List<Process> writers = new ArrayList<>();
      for (int i = 0; i < PROCESSES; i++) {
        writers.add(start("increment", directory.toString(), Integer.toString(WRITES)));
      }
      for (Process writer : writers) {
        String output = outputOf(writer);
        assertEquals("incremented " + WRITES, output.strip());
      }
      assertEquals(
          1 + PROCESSES * WRITES, store.load(KeysetStoreChild.ORDERS).orElseThrow().revision());
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

  private static Process start(String... args) throws IOException {
    return new ProcessBuilder(KeysetStoreChild.command(args))
        .redirectError(Redirect.INHERIT)
        .start();
  }

  private static String outputOf(Process process) throws Exception {
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.US_ASCII);
    assertTrue(process.waitFor(10, TimeUnit.SECONDS), "still running after closing its output");
    return output;
  }
}
