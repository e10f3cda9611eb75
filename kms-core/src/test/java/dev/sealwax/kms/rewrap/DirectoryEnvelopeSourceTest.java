package dev.sealwax.kms.rewrap;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.envelope.EnvelopeInfo;
import dev.sealwax.kms.rewrap.RewrapFailure.Reason;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class DirectoryEnvelopeSourceTest {
  private final RewrapRig rig = RewrapRig.create();
  private Path root;

  @BeforeEach
  void makeRoot(@TempDir Path directory) throws IOException {
    root = Files.createDirectory(directory.resolve("files"));
  }

  @AfterEach
  void close() {
    rig.close();
  }

  private Path put(String name, byte[] content) throws IOException {
    Path file = root.resolve(name);
    Files.createDirectories(file.getParent());
    return Files.write(file, content);
  }

  private RewrapReport rewrap(EnvelopeSource source) {
    return rig.kms
        .rewrapper(RewrapRig.ORDERS)
        .source(source)
        .batchSize(3)
        .patience(Duration.ZERO)
        .build()
        .run();
  }

  private static List<String> scanned(EnvelopeSource source, String after, int limit)
      throws IOException {
    List<String> ids = new ArrayList<>();
    for (List<EnvelopeRecord> page = source.scan(after, limit);
        !page.isEmpty();
        page = source.scan(ids.get(ids.size() - 1), limit)) {
      page.forEach(record -> ids.add(record.id()));
    }
    return ids;
  }

  private HeaderChange change(EnvelopeSource source, String id) throws IOException {
    EnvelopeRecord record = source.read(id).orElseThrow();
    return new HeaderChange(record, rig.orders().rewrapHeader(record.start()));
  }

  private static List<String> leftovers(Path root) throws IOException {
    try (Stream<Path> files = Files.walk(root)) {
      return files
          .map(file -> file.getFileName().toString())
          .filter(name -> name.endsWith(".journal") || name.endsWith(".tmp"))
          .toList();
    }
  }

  @Test
  void files_areMovedByTheirHeadersAlone() throws IOException {
    EncryptionContext context = EncryptionContext.of("id", "large");
    ByteArrayOutputStream large = new ByteArrayOutputStream();
    rig.orders().encrypt(new ByteArrayInputStream(new byte[200_000]), large, context);
    put("large", large.toByteArray());
    put("a/b/c", rig.sealed("c"));
    put("a/d", rig.sealed("d"));
    put("e f\n%ü", rig.sealed("e"));
    rig.kms.keysets().rotate(RewrapRig.ORDERS);

    try (EnvelopeSource source = DirectoryEnvelopeSource.of(root)) {
      assertEquals(new RewrapCounts(4, 4, 0, 0, 0, 0, 0, Map.of()), rewrap(source).counts());
      assertEquals(4, rewrap(source).counts().alreadyThere());
    }

    byte[] moved = Files.readAllBytes(root.resolve("large"));
    int header = EnvelopeInfo.inspect(moved).headerLengthBytes();
    assertEquals(2, EnvelopeInfo.inspect(moved).keyVersion());
    assertArrayEquals(
        Arrays.copyOfRange(large.toByteArray(), header, large.size()),
        Arrays.copyOfRange(moved, header, moved.length));
    assertArrayEquals(new byte[200_000], rig.orders().decrypt(moved, context));
    assertTrue(rig.opens("c", Files.readAllBytes(root.resolve("a/b/c"))));
    assertEquals(List.of(), leftovers(root));
  }

  @Test
  void scan_goesOnBehindAnyPlaceWhetherItIsThereOrNot() throws IOException {
    List<String> names = List.of("a-", "a/1", "a/2/x", "a/2/y", "a/3", "a0", "b", "c/d/e");
    for (String name : names) {
      put(name, new byte[1]);
    }
    Files.createSymbolicLink(root.resolve("b2"), root.resolve("b"));
    Files.createDirectory(root.resolve("empty"));
    // Name by name: all of "a" before "a-", though '-' sorts before '/'.
    List<String> expected = List.of("a/1", "a/2/x", "a/2/y", "a/3", "a-", "a0", "b", "c/d/e");
    try (EnvelopeSource source = DirectoryEnvelopeSource.of(root)) {
      for (int limit = 1; limit <= 9; limit++) {
        assertEquals(expected, scanned(source, null, limit));
      }
      for (int i = 0; i < expected.size(); i++) {
        assertEquals(expected.subList(i + 1, expected.size()), scanned(source, expected.get(i), 2));
      }
      Files.delete(root.resolve("a/2/x"));
      assertEquals("a/2/y", source.scan("a/2/x", 1).get(0).id());
      assertEquals("a/3", source.scan("a/2/zzz/deeper", 1).get(0).id());
      assertEquals("a-", source.scan("a/99", 1).get(0).id());
      assertEquals("c/d/e", source.scan("b/was/a/directory", 1).get(0).id());
    }
  }

  @Test
  void unwantedAndForeignFiles_areLeftAloneOrListed() throws IOException {
    put("a.swx", rig.sealed("a"));
    put("readme.txt", new byte[10]);
    put("b.swx", new byte[0]);
    rig.kms.keysets().rotate(RewrapRig.ORDERS);
    try (EnvelopeSource source =
        DirectoryEnvelopeSource.of(root, file -> file.toString().endsWith(".swx"))) {
      RewrapReport report = rewrap(source);
      assertEquals(
          new RewrapCounts(2, 1, 0, 0, 0, 0, 0, Map.of(Reason.NOT_AN_ENVELOPE, 1L)),
          report.counts());
    }
  }

  @Test
  void filesThatChangeOrVanishBeforeTheWrite_areNotOverwritten() throws IOException {
    put("a", rig.sealed("a"));
    put("b", rig.sealed("b"));
    put("c", rig.sealed("c"));
    put("d", rig.sealed("d"));
    rig.kms.keysets().rotate(RewrapRig.ORDERS);
    byte[] written = rig.sealed("new");
    try (EnvelopeSource source = DirectoryEnvelopeSource.of(root)) {
      List<HeaderChange> changes = new ArrayList<>();
      for (String id : List.of("a", "b", "c", "d")) {
        changes.add(change(source, id));
      }
      Files.move(
          Files.write(root.resolve("unfinished"), written),
          root.resolve("b"),
          StandardCopyOption.ATOMIC_MOVE);
      Files.delete(root.resolve("c"));
      Files.delete(root.resolve("d"));
      Files.createDirectory(root.resolve("d"));

      assertEquals(
          List.of(
              ReplaceOutcome.REPLACED,
              ReplaceOutcome.CHANGED_MEANWHILE,
              ReplaceOutcome.GONE,
              ReplaceOutcome.GONE),
          source.replaceHeaders(changes));

      assertArrayEquals(written, Files.readAllBytes(root.resolve("b")));
      assertTrue(source.read("c").isEmpty());
    }
  }

  /** What may take the place of a record's file, or of a directory on the way to it. */
  private enum Usurper {
    FILE {
      @Override
      void take(Path place) throws IOException {
        Files.write(place, new byte[200]);
      }
    },
    DIRECTORY {
      @Override
      void take(Path place) throws IOException {
        Files.createDirectory(place);
      }
    },
    LINK {
      @Override
      void take(Path place) throws IOException {
        Files.createSymbolicLink(place, place.resolveSibling("z"));
      }
    },
    LOOP {
      @Override
      void take(Path place) throws IOException {
        Files.createSymbolicLink(place, place.getFileName());
      }
    };

    abstract void take(Path place) throws IOException;
  }

  private static void remove(Path place) throws IOException {
    try (Stream<Path> all = Files.walk(place)) {
      for (Path each : all.sorted(java.util.Comparator.reverseOrder()).toList()) {
        Files.delete(each);
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "b, DIRECTORY",
    "b, LINK",
    "b, LOOP",
    "d, FILE",
    "d, DIRECTORY",
    "d, LINK",
    "d, LOOP",
    "d/e, FILE",
    "d/e, DIRECTORY",
    "d/e, LINK",
    "d/e, LOOP",
    "d/e/f, DIRECTORY",
    "d/e/f, LINK",
    "d/e/f, LOOP"
  })
  void placeThatSomethingElseTakes_costsItsOwnRecordsOnly(String place, Usurper usurper)
      throws IOException {
    List<String> names = List.of("a", "b", "d/e/f", "d/e/g", "d/h", "z");
    for (String name : names) {
      put(name, rig.sealed(name));
    }
    rig.kms.keysets().rotate(RewrapRig.ORDERS);
    // Between listing and reading: the predicate is asked in between.
    AtomicBoolean taken = new AtomicBoolean();
    Predicate<Path> wanted =
        file -> {
          if (file.toString().equals(place.startsWith("d") ? "d/e/f" : "b")
              && !taken.getAndSet(true)) {
            try {
              remove(root.resolve(place));
              usurper.take(root.resolve(place));
            } catch (IOException e) {
              throw new java.io.UncheckedIOException(e);
            }
          }
          return true;
        };
    try (EnvelopeSource source = DirectoryEnvelopeSource.of(root, wanted)) {
      RewrapReport report = rewrap(source);
      assertTrue(taken.get());
      List<String> rest = names.stream().filter(name -> !name.startsWith(place)).toList();
      assertEquals(rest.size(), report.counts().moved(), report::describe);
      assertTrue(report.counts().failed() <= 1, report::describe);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "d, FILE", "d, DIRECTORY", "d, LINK", "d, LOOP",
    "d/e, FILE", "d/e, DIRECTORY", "d/e, LINK", "d/e, LOOP",
    "d/e/f, DIRECTORY", "d/e/f, LINK", "d/e/f, LOOP"
  })
  void placeThatSomethingElseTakesBeforeTheWrite_isGone(String place, Usurper usurper)
      throws IOException {
    for (String name : List.of("a", "d/e/f", "z")) {
      put(name, rig.sealed(name));
    }
    rig.kms.keysets().rotate(RewrapRig.ORDERS);
    try (EnvelopeSource source = DirectoryEnvelopeSource.of(root)) {
      List<HeaderChange> changes =
          List.of(change(source, "a"), change(source, "d/e/f"), change(source, "z"));
      remove(root.resolve(place));
      usurper.take(root.resolve(place));

      assertEquals(
          List.of(ReplaceOutcome.REPLACED, ReplaceOutcome.GONE, ReplaceOutcome.REPLACED),
          source.replaceHeaders(changes));
      assertTrue(source.read("d/e/f").isEmpty());
    }
  }

  @Test
  void placesThatMayNotBeEntered_areFailuresOfTheirOwn() throws IOException {
    for (String name : List.of("a", "b", "c/x", "c/y", "d/x", "d/y", "e/x", "z")) {
      put(name, rig.sealed(name));
    }
    rig.kms.keysets().rotate(RewrapRig.ORDERS);
    Map<String, String> modes =
        Map.of("b", "---------", "c", "---------", "d", "r--------", "e/x", "r--------");
    try {
      for (Map.Entry<String, String> mode : modes.entrySet()) {
        Files.setPosixFilePermissions(
            root.resolve(mode.getKey()), PosixFilePermissions.fromString(mode.getValue()));
      }
      // Nothing is closed to the superuser.
      boolean closed = !Files.isReadable(root.resolve("b"));
      try (EnvelopeSource source = DirectoryEnvelopeSource.of(root)) {
        RewrapReport report = rewrap(source);
        assertEquals(
            closed ? Map.of(Reason.UNREADABLE, 4L, Reason.WRITE_REFUSED, 1L) : Map.of(),
            report.counts().failures());
        assertEquals(closed ? 2 : 8, report.counts().moved());
        assertEquals(
            closed ? List.of("b", "c", "d/x", "d/y", "e/x") : List.of(),
            report.failures().stream().map(RewrapFailure::recordId).sorted().toList());
        // Goes on behind each of them, wherever it stops.
        assertEquals(closed ? 7 : 8, scanned(source, null, 1).size());
        assertEquals("d/x", source.scan("c/x", 9).get(1).id());
      }
    } finally {
      for (String name : modes.keySet()) {
        Files.setPosixFilePermissions(
            root.resolve(name), PosixFilePermissions.fromString("rwx------"));
      }
    }
  }

  @Test
  void fileThatTheApplicationHasLocked_isLeftAlone() throws IOException {
    Path file = put("a", rig.sealed("a"));
    rig.kms.keysets().rotate(RewrapRig.ORDERS);
    try (EnvelopeSource source = DirectoryEnvelopeSource.of(root);
        FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE);
        FileLock lock = channel.lock()) {
      assertTrue(lock.isValid());
      assertEquals(Map.of(Reason.KEEPS_CHANGING, 1L), rewrap(source).counts().failures());
    }
  }

  @Test
  void secondJobInTheDirectory_isRefused() throws IOException {
    try (EnvelopeSource source = DirectoryEnvelopeSource.of(root)) {
      assertThrows(IOException.class, () -> DirectoryEnvelopeSource.of(root));
      assertEquals("files/" + root.toRealPath(), source.identity());
    }
    DirectoryEnvelopeSource.of(root).close();
    assertThrows(
        NoSuchFileException.class, () -> DirectoryEnvelopeSource.of(root.resolve("nowhere")));
  }

  @Test
  void idsThatLeadOut_areRefused() throws IOException {
    Path outside = Files.write(root.resolveSibling("outside"), rig.sealed("x"));
    Files.createSymbolicLink(root.resolve("link"), outside);
    Files.createSymbolicLink(root.resolve("up"), root.getParent());
    try (EnvelopeSource source = DirectoryEnvelopeSource.of(root)) {
      for (String id :
          List.of("../outside", "", "a//b", "/etc/passwd", "./x", "a/../../outside", "x\0")) {
        assertThrows(IOException.class, () -> source.read(id), id);
      }
      assertTrue(source.read("link").isEmpty());
      assertTrue(source.read("up/outside").isEmpty());
    }
  }

  // --- crashes ---

  /** A journal on the disk and its file in the state of a write that was cut off. */
  private byte[] tear(String id, int newBytes) throws IOException {
    byte[] old = Files.readAllBytes(root.resolve(id));
    try (EnvelopeSource source = DirectoryEnvelopeSource.of(root)) {
      HeaderChange change = change(source, id);
      HeaderJournal.write(root.toRealPath(), List.of(change));
      byte[] torn = old.clone();
      System.arraycopy(change.newHeader(), 0, torn, 0, newBytes);
      put(id, torn);
    }
    return old;
  }

  @Test
  void crashAtAnyByteOfTheHeader_isMendedByTheNextOpening() throws IOException {
    put("dir/a", rig.sealed("a"));
    rig.kms.keysets().rotate(RewrapRig.ORDERS);
    int header =
        EnvelopeInfo.inspect(Files.readAllBytes(root.resolve("dir/a"))).headerLengthBytes();
    for (int bytes = 0; bytes <= header; bytes++) {
      byte[] old = tear("dir/a", bytes);
      DirectoryEnvelopeSource.of(root).close();
      byte[] now = Files.readAllBytes(root.resolve("dir/a"));
      assertTrue(rig.opens("a", now), "after " + bytes + " bytes");
      assertEquals(List.of(), leftovers(root));
      put("dir/a", old);
    }
  }

  @Test
  void crashThatTheApplicationHasWrittenOver_isLeftAlone() throws IOException {
    put("a", rig.sealed("a"));
    rig.kms.keysets().rotate(RewrapRig.ORDERS);
    tear("a", 60);
    byte[] written = rig.sealed("new");
    put("a", written);
    DirectoryEnvelopeSource.of(root).close();
    assertArrayEquals(written, Files.readAllBytes(root.resolve("a")));

    tear("a", 0);
    Files.delete(root.resolve("a"));
    DirectoryEnvelopeSource.of(root).close();
    assertEquals(List.of(), leftovers(root));
  }

  @Test
  void fileThatWasNotWrittenAndMayNotBe_keepsNobodyFromTheDirectory() throws IOException {
    put("a", rig.sealed("a"));
    rig.kms.keysets().rotate(RewrapRig.ORDERS);
    tear("a", 0);
    Files.setPosixFilePermissions(root.resolve("a"), PosixFilePermissions.fromString("r--------"));
    DirectoryEnvelopeSource.of(root).close();
    assertEquals(List.of(), leftovers(root));
  }

  @ParameterizedTest
  @CsvSource({"d, FILE", "d, LINK", "d, LOOP", "d/a, DIRECTORY", "d/a, LOOP"})
  void crashWhosePlaceSomethingElseHasTaken_isOver(String place, Usurper usurper)
      throws IOException {
    put("d/a", rig.sealed("a"));
    rig.kms.keysets().rotate(RewrapRig.ORDERS);
    tear("d/a", 60);
    remove(root.resolve(place));
    usurper.take(root.resolve(place));
    DirectoryEnvelopeSource.of(root).close();
    assertEquals(List.of(), leftovers(root));
  }

  @Test
  void journalThatIsCutOff_meansNothingWasWritten() throws IOException {
    put("a", rig.sealed("a"));
    rig.kms.keysets().rotate(RewrapRig.ORDERS);
    tear("a", 60);
    byte[] torn = Files.readAllBytes(root.resolve("a"));
    Path journal;
    try (Stream<Path> files = Files.list(root)) {
      journal =
          files.filter(file -> file.toString().endsWith(".journal")).findFirst().orElseThrow();
    }
    byte[] whole = Files.readAllBytes(journal);
    for (int length : new int[] {0, 1, 31, 32, 33, whole.length - 1}) {
      Files.write(journal, Arrays.copyOf(whole, length));
      DirectoryEnvelopeSource.of(root).close();
      assertArrayEquals(torn, Files.readAllBytes(root.resolve("a")));
      assertEquals(List.of(), leftovers(root));
    }
  }
}
