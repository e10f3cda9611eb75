package dev.sealwax.kms.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.vocabulary.KeysetCorruptedException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import dev.sealwax.kms.vocabulary.KeysetStoreException.Reason;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a file store does with a bad place and with files it did not write. */
@Timeout(60)
final class FileKeysetStoreBadInputTest {
  private static final KeysetId ORDERS = KeysetId.of("orders");

  /**
   * The kernel makes no files here for anybody, root included, whom permission bits do not stop.
   */
  private static final Path READ_ONLY = Path.of("/sys/kernel");

  @TempDir Path parent;
  private Path directory;

  @BeforeEach
  void nameDirectory() {
    directory = parent.resolve("keysets");
  }

  @Test
  void at_whenOnlyTheParentExists_makesTheDirectoryForItsOwner() throws Exception {
    FileKeysetStore.at(directory).close();
    assertEquals(
        "rwx------", PosixFilePermissions.toString(Files.getPosixFilePermissions(directory)));
  }

  @Test
  void at_whenParentIsMissing_isInaccessible() {
    requireReason(
        Reason.INACCESSIBLE, "parent", () -> FileKeysetStore.at(directory.resolve("deeper")));
    assertFalse(Files.exists(directory));
  }

  @Test
  void at_onFile_isInaccessible() throws Exception {
    Files.createFile(directory);
    requireReason(Reason.INACCESSIBLE, "directory", () -> FileKeysetStore.at(directory));
    requireReason(
        Reason.INACCESSIBLE, "directory", () -> FileKeysetStore.at(directory.resolve("below")));
  }

  @Test
  void at_onDanglingLink_isInaccessible() throws Exception {
    Files.createSymbolicLink(directory, parent.resolve("nowhere"));
    requireReason(Reason.INACCESSIBLE, "does not exist", () -> FileKeysetStore.at(directory));
  }

  @Test
  void at_onLinkToDirectory_isTheSameStore() throws Exception {
    Path real = Files.createDirectory(parent.resolve("real"));
    Files.createSymbolicLink(directory, real);
    try (FileKeysetStore byLink = FileKeysetStore.at(directory);
        FileKeysetStore byName = FileKeysetStore.at(real)) {
      byLink.create(keyset(1));
      byName.replace(keyset(2));
      byLink.replace(keyset(3));
      assertEquals(Optional.of(keyset(3)), byName.load(ORDERS));
    }
  }

  @Test
  void readOnlyDirectory_canBeReadAndNotWritten() {
    try (FileKeysetStore store = FileKeysetStore.at(READ_ONLY)) {
      assertEquals(List.of(), store.list(10));
      assertEquals(Optional.empty(), store.load(ORDERS));
      requireReason(Reason.INACCESSIBLE, "nothing was written", () -> store.create(keyset(1)));
    }
  }

  @Test
  void anyCall_whenDirectoryHasVanished_isInaccessibleAndNeverEmpty() throws Exception {
    try (FileKeysetStore store = FileKeysetStore.at(directory)) {
      Files.delete(directory);
      requireReason(Reason.INACCESSIBLE, "does not exist", () -> store.load(ORDERS));
      requireReason(Reason.INACCESSIBLE, "does not exist", () -> store.list(1));
      requireReason(Reason.INACCESSIBLE, "does not exist", () -> store.create(keyset(1)));
    }
  }

  @Test
  void anyCall_whenAnotherDirectoryTookThePlace_isInaccessibleAndNeverEmpty() throws Exception {
    try (FileKeysetStore store = FileKeysetStore.at(directory)) {
      Files.move(directory, parent.resolve("unmounted"));
      Files.createDirectory(directory);
      requireReason(Reason.INACCESSIBLE, "replaced", () -> store.load(ORDERS));
      requireReason(Reason.INACCESSIBLE, "replaced", () -> store.list(1));
      requireReason(Reason.INACCESSIBLE, "replaced", () -> store.create(keyset(1)));
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        " ",
        "{",
        "{}",
        "[]",
        "null",
        "{\"revision\":1",
        "{\"revision\":1}}",
        "{\"revision\":1}{}",
        "{\"revision\":0}",
        "{\"revision\":-1}",
        "{\"revision\":1.0}",
        "{\"revision\":\"1\"}",
        "{\"revision\":null}",
        "{\"revision\":9223372036854775808}",
        "{\"revision\":01}",
        "{\"revision\":1,\"revision\":1}",
        "{\"a\":{\"b\":1,\"b\":2},\"revision\":1}",
        "{\"inner\":{\"revision\":1}}",
        "{'revision':1}",
        "{\"revision\":1,}",
        "{\"revision\":1}\u0000",
        "{\"name\":\"\u00e9\",\"revision\":1}",
        "\ufeff{\"revision\":1}"
      })
  void load_ofDamagedDocument_isCorrupted(String document) throws Exception {
    try (FileKeysetStore store = FileKeysetStore.at(directory)) {
      write(document);
      KeysetCorruptedException damaged =
          assertThrows(KeysetCorruptedException.class, () -> store.load(ORDERS));
      assertEquals(ORDERS, damaged.keyset());
      assertThrows(KeysetCorruptedException.class, () -> store.create(keyset(1)));
      assertThrows(KeysetCorruptedException.class, () -> store.replace(keyset(2)));
      assertEquals(document, Files.readString(directory.resolve("orders.json")));
    }
  }

  /** So too for a new directory that has got the number of a deleted one. */
  @Test
  void directoryThatHadAnotherName_whileThatStoreIsOpen_isWritable() throws Exception {
    Path before = Files.createDirectory(parent.resolve("before"));
    try (FileKeysetStore left = FileKeysetStore.at(before)) {
      Path moved = Files.move(before, parent.resolve("after"));
      try (FileKeysetStore store = FileKeysetStore.at(moved)) {
        store.create(keyset(1));
        requireReason(Reason.INACCESSIBLE, "does not exist", () -> left.create(keyset(1)));
        assertEquals(Optional.of(keyset(1)), store.load(ORDERS));
      }
    }
  }

  @Test
  void load_ofEveryTruncation_isCorrupted() throws Exception {
    String document = "{\"revision\":7,\"text\":\"a\"}";
    try (FileKeysetStore store = FileKeysetStore.at(directory)) {
      for (int length = 0; length < document.length(); length++) {
        write(document.substring(0, length));
        assertThrows(KeysetCorruptedException.class, () -> store.load(ORDERS));
      }
      write(document);
      assertEquals(Optional.of(new StoredKeyset(ORDERS, 7, document)), store.load(ORDERS));
    }
  }

  @Test
  void load_ofFileLargerThanTheHeap_isCorruptedAtOnce() throws Exception {
    try (FileKeysetStore store = FileKeysetStore.at(directory);
        RandomAccessFile sparse =
            new RandomAccessFile(directory.resolve("orders.json").toFile(), "rw")) {
      sparse.setLength(1L << 40);
      assertThrows(KeysetCorruptedException.class, () -> store.load(ORDERS));
    }
  }

  @Test
  void keysetFile_replacedByDirectory_isInaccessible() throws Exception {
    try (FileKeysetStore store = FileKeysetStore.at(directory)) {
      Files.createDirectory(directory.resolve("orders.json"));
      requireEntryRefused(store, "regular");
    }
  }

  @Test
  void keysetFile_replacedByPipe_isInaccessibleWithoutWaitingForAWriter() throws Exception {
    try (FileKeysetStore store = FileKeysetStore.at(directory)) {
      assertEquals(
          0,
          new ProcessBuilder("mkfifo", directory.resolve("orders.json").toString())
              .start()
              .waitFor());
      requireEntryRefused(store, "regular");
    }
  }

  @Test
  void keysetFile_replacedByLink_isInaccessibleAndItsTargetStays() throws Exception {
    Path target = Files.writeString(parent.resolve("target"), "{\"revision\":1}");
    try (FileKeysetStore store = FileKeysetStore.at(directory)) {
      Files.createSymbolicLink(directory.resolve("orders.json"), target);
      requireEntryRefused(store, "symbolic link");
      assertEquals("{\"revision\":1}", Files.readString(target));
    }
  }

  @Test
  void lockFile_replacedByLink_isInaccessible() throws Exception {
    try (FileKeysetStore store = FileKeysetStore.at(directory)) {
      Files.createSymbolicLink(directory.resolve(".lock"), parent.resolve("elsewhere"));
      requireReason(Reason.INACCESSIBLE, "symbolic link", () -> store.create(keyset(1)));
      assertFalse(Files.exists(parent.resolve("elsewhere")));
    }
  }

  @Test
  void lockFile_removedBetweenWrites_isMadeAgain() throws Exception {
    try (FileKeysetStore store = FileKeysetStore.at(directory)) {
      store.create(keyset(1));
      Files.delete(directory.resolve(".lock"));
      store.replace(keyset(2));
      assertTrue(Files.exists(directory.resolve(".lock")));
    }
  }

  @Test
  void write_whileAnotherClassLoaderHoldsTheLock_isUnavailable() throws Exception {
    try (FileKeysetStore store = FileKeysetStore.at(directory, Duration.ofMillis(50))) {
      store.create(keyset(1));
      FileChannel foreign = FileChannel.open(directory.resolve(".lock"), StandardOpenOption.WRITE);
      FileLock held = foreign.lock();
      requireReason(Reason.UNAVAILABLE, "kept the lock", () -> store.replace(keyset(2)));
      held.release();
      store.replace(keyset(2));
      foreign.close();
    }
  }

  @Test
  void list_ignoresFilesThatAreNoKeysets() throws Exception {
    try (FileKeysetStore store = FileKeysetStore.at(directory)) {
      store.create(keyset(1));
      for (String name :
          List.of(
              "README",
              ".json",
              "Orders.json",
              "orders.json~",
              "ä.json",
              ".x.json",
              "orders.json.bak")) {
        Files.writeString(directory.resolve(name), "x");
      }
      assertEquals(List.of(ORDERS), store.list(100));
    }
  }

  @Test
  void create_inNewStore_deletesLeftoversAndNothingElse() throws Exception {
    Files.createDirectory(directory);
    Path leftover = Files.writeString(directory.resolve(".orders.1234.tmp"), "{\"revi");
    Path foreign = Files.writeString(directory.resolve("notes.tmp"), "mine");
    try (FileKeysetStore store = FileKeysetStore.at(directory)) {
      store.create(keyset(1));
    }
    assertFalse(Files.exists(leftover));
    assertTrue(Files.exists(foreign));
  }

  @Test
  void interruptedThread_readsAndIsRefusedToWriteAndStaysInterrupted() throws Exception {
    try (FileKeysetStore store = FileKeysetStore.at(directory)) {
      store.create(keyset(1));
      Thread.currentThread().interrupt();
      assertEquals(Optional.of(keyset(1)), store.load(ORDERS));
      assertTrue(Thread.currentThread().isInterrupted());
      requireReason(Reason.UNAVAILABLE, "interrupted", () -> store.replace(keyset(2)));
      assertTrue(Thread.interrupted(), "the interrupt status was swallowed");
      assertEquals(Optional.of(keyset(1)), store.load(ORDERS));
      store.replace(keyset(2));
    }
  }

  @Test
  void threadInterruptedWhileWriting_leavesOldOrNewDocumentAndAWorkingStore() throws Exception {
    try (FileKeysetStore store = FileKeysetStore.at(directory)) {
      store.create(keyset(1));
      for (int round = 0; round < 100; round++) {
        StoredKeyset before = store.load(ORDERS).orElseThrow();
        StoredKeyset next = keyset((int) before.revision() + 1);
        Thread writer =
            new Thread(
                () -> {
                  try {
                    store.replace(next);
                  } catch (KeysetStoreException e) {
                    assertEquals(Reason.UNAVAILABLE, e.reason());
                  }
                });
        writer.start();
        TimeUnit.MICROSECONDS.sleep(20L * round);
        writer.interrupt();
        writer.join();
        StoredKeyset after = store.load(ORDERS).orElseThrow();
        assertTrue(after.equals(before) || after.equals(next), after::toString);
      }
    }
    try (Stream<Path> files = Files.list(directory)) {
      assertEquals(3, files.count(), "a keyset, a lock and the changes");
    }
  }

  @Test
  void write_ofDocumentThatSaysAnotherRevision_isRefused() {
    try (FileKeysetStore store = FileKeysetStore.at(directory)) {
      StoredKeyset lying = new StoredKeyset(ORDERS, 1, "{\"revision\":2}");
      assertThrows(IllegalArgumentException.class, () -> store.create(lying));
      assertEquals(Optional.empty(), store.load(ORDERS));
    }
  }

  private void requireEntryRefused(FileKeysetStore store, String problem) {
    requireReason(Reason.INACCESSIBLE, problem, () -> store.load(ORDERS));
    requireReason(Reason.INACCESSIBLE, problem, () -> store.create(keyset(1)));
    requireReason(Reason.INACCESSIBLE, problem, () -> store.replace(keyset(2)));
    assertEquals(List.of(ORDERS), store.list(10), "listed, so that somebody notices");
  }

  private static void requireReason(Reason reason, String text, Executable call) {
    KeysetStoreException e = assertThrows(KeysetStoreException.class, call);
    assertEquals(reason, e.reason(), e.getMessage());
    assertTrue(e.getMessage().contains(text), e.getMessage());
  }

  private void write(String document) throws IOException {
    Files.write(directory.resolve("orders.json"), document.getBytes(StandardCharsets.UTF_8));
  }

  private static StoredKeyset keyset(int revision) {
    return new StoredKeyset(ORDERS, revision, "{\"revision\":" + revision + "}");
  }
}
