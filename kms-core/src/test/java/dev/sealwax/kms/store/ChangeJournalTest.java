package dev.sealwax.kms.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.store.WatchableKeysetStore.Changes;
import dev.sealwax.kms.store.WatchableKeysetStore.Position;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ChangeJournalTest {
  private static final KeysetId ORDERS = KeysetId.of("orders");
  private static final KeysetId FILES = KeysetId.of("files");

  @TempDir private Path directory;
  private Path file;
  private ChangeJournal journal;

  @BeforeEach
  void open() {
    file = directory.resolve(".changes");
    journal = new ChangeJournal(file);
  }

  private void write(KeysetId id) throws IOException {
    journal.begin(id);
    journal.finish();
  }

  /** A reader may have read the old document: it must be told until the new one is in place. */
  @Test
  void unfinishedWrite_isNamedUntilItIsFinished() throws IOException {
    write(FILES);
    Position before = journal.end();
    journal.begin(ORDERS);
    Changes during = journal.after(before);
    assertEquals(new Changes(before, true, Set.of(ORDERS)), during);
    assertEquals(during, journal.after(during.position()));
    journal.finish();
    Changes after = journal.after(during.position());
    assertEquals(Set.of(ORDERS), after.written());
    assertEquals(Set.of(), journal.after(after.position()).written());
  }

  @Test
  void killedWriter_isOverWhenTheNextOneBegins() throws IOException {
    write(FILES);
    Position before = journal.end();
    journal.begin(ORDERS);
    journal.begin(FILES);
    Changes changes = journal.after(before);
    assertEquals(Set.of(ORDERS, FILES), changes.written());
    assertEquals(Set.of(FILES), journal.after(changes.position()).written());
  }

  @Test
  void killedInTheMiddleOfALine_theNextWriterMends() throws IOException {
    write(FILES);
    Position before = journal.end();
    Files.writeString(file, "5d1f-cut-off-in-th", StandardOpenOption.APPEND);
    assertEquals(new Changes(before, true, Set.of()), journal.after(before));
    write(ORDERS);
    Changes changes = journal.after(before);
    assertFalse(changes.complete(), "what was cut off is not known");
    assertEquals(new Changes(journal.end(), true, Set.of()), journal.after(changes.position()));
  }

  @Test
  void fullFile_isBegunAnewAndSaysSo() throws IOException {
    write(FILES);
    Position before = journal.end();
    String line = "x".repeat(36) + " orders\n.\n";
    Files.writeString(
        file, line.repeat(ChangeJournal.MAX_BYTES / line.length() + 1), StandardOpenOption.APPEND);
    assertTrue(journal.after(before).complete());
    Position full = journal.end();
    write(ORDERS);
    assertTrue(Files.size(file) < 500, () -> file.toFile().length() + " bytes");
    for (Position old : Set.of(before, full, new Position("none"))) {
      Changes changes = journal.after(old);
      assertFalse(changes.complete(), old::toString);
      assertEquals(journal.end(), changes.position());
    }
    assertEquals(List.of(".changes"), List.of(directory.toFile().list()), "nothing else is left");
  }

  @Test
  void fileOfABackup_isNotMistakenForThisOne() throws IOException {
    write(FILES);
    byte[] backup = Files.readAllBytes(file);
    write(ORDERS);
    Position place = journal.end();
    Files.write(file, backup);
    assertFalse(journal.after(place).complete());
    write(FILES);
    write(FILES);
    assertFalse(journal.after(place).complete(), "as long as before, but other writes");
  }

  @Test
  void removedFile_isNotTakenForNoWrites() throws IOException {
    write(FILES);
    Position place = journal.end();
    Files.delete(file);
    assertFalse(journal.after(place).complete());
  }

  @Test
  void linkInItsPlace_isRefused() throws IOException {
    Files.createSymbolicLink(file, directory.resolve("elsewhere"));
    assertThrows(IOException.class, () -> journal.begin(ORDERS));
    assertThrows(IOException.class, () -> journal.end());
    assertFalse(Files.exists(directory.resolve("elsewhere")));
  }
}
