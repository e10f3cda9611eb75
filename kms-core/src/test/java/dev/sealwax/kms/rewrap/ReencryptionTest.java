package dev.sealwax.kms.rewrap;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeInfo;
import dev.sealwax.kms.rewrap.RewrapFailure.Reason;
import dev.sealwax.kms.testkit.FaultyRootKey.Fault;
import dev.sealwax.kms.vocabulary.DecryptionFailedException;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.RewrapException;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.reflect.Proxy;
import java.nio.channels.FileChannel;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Jobs that re-encrypt what is under a compromised version. */
class ReencryptionTest {
  private static final KeysetId ORDERS = KeysetId.of(RewrapRig.ORDERS);
  private static final EnvelopeContexts BY_ID =
      (source, record) -> EncryptionContext.of("id", record.id());

  private final RewrapRig rig = RewrapRig.create();
  private final ListSource source = new ListSource();
  private final MemoryCheckpoint checkpoint = new MemoryCheckpoint();

  @AfterEach
  void close() {
    rig.close();
  }

  private Rewrapper.Builder job(EnvelopeSource from) {
    return rig.kms
        .rewrapper(RewrapRig.ORDERS)
        .source(from)
        .checkpoint(checkpoint)
        .batchSize(10)
        .patience(Duration.ZERO)
        .reencryptCompromised(BY_ID);
  }

  /** Records under version 1, which is compromised, some under 2, and a primary 3. */
  private void fill(int compromised, int good) {
    for (int i = 0; i < compromised; i++) {
      String id = String.format("%04d", i);
      source.with(id, rig.sealed(id));
    }
    rig.kms.keysets().rotate(RewrapRig.ORDERS);
    for (int i = compromised; i < compromised + good; i++) {
      String id = String.format("%04d", i);
      source.with(id, rig.sealed(id));
    }
    rig.kms.keysets().rotate(RewrapRig.ORDERS);
    rig.kms.keysets().compromise(RewrapRig.ORDERS, 1);
  }

  @Test
  void compromisedRecords_getNewDataKeysAndOthersNewHeaders() {
    fill(25, 5);
    Map<String, byte[]> before = Map.copyOf(source.records);

    RewrapReport report = job(source).workers(2).build().run();

    assertEquals(new RewrapCounts(30, 5, 25, 0, 0, 0, 0, Map.of()), report.counts());
    assertEquals(
        List.of(
            new VersionCount(ORDERS, 1, 25, 0),
            new VersionCount(ORDERS, 2, 5, 0),
            new VersionCount(ORDERS, 3, 0, 30)),
        report.versions());
    before.forEach(
        (id, old) -> {
          byte[] now = source.records.get(id);
          assertEquals(3, source.version(id));
          assertTrue(rig.opens(id, now));
          assertEquals(
              id.compareTo("0025") >= 0,
              EnvelopeInfo.inspect(old).dataKeyId().equals(EnvelopeInfo.inspect(now).dataKeyId()));
        });
    assertEquals(
        new RewrapCounts(30, 0, 0, 30, 0, 0, 0, Map.of()), job(source).build().run().counts());
  }

  @Test
  void mayDestroy_saysYesOfTheCompromisedVersionOnlyAfterAScanThatMetNone() {
    fill(5, 0);
    Rewrapper job = job(source).settlingTime(Duration.ZERO).build();
    assertEquals(
        java.util.Set.of(Obstacle.MET_BY_THIS_SCAN),
        job.run().mayDestroy(RewrapRig.ORDERS, 1).obstacles());
    assertTrue(job.run().mayDestroy(RewrapRig.ORDERS, 1).isSafe());
    source.with("0001", new byte[200]);
    assertEquals(
        java.util.Set.of(Obstacle.RECORDS_FAILED),
        job.run().mayDestroy(RewrapRig.ORDERS, 1).obstacles());
  }

  @Test
  void recordWhoseContextIsWrong_isOneFailureAndStaysAsItIs() {
    fill(12, 0);
    byte[] before = source.records.get("0007");
    RewrapReport report =
        job(source)
            .reencryptCompromised(
                (from, record) ->
                    EncryptionContext.of("id", record.id().equals("0007") ? "8" : record.id()))
            .build()
            .run();
    assertEquals(
        new RewrapCounts(12, 0, 11, 0, 0, 0, 0, Map.of(Reason.NOT_REENCRYPTED, 1L)),
        report.counts());
    assertEquals("0007", report.failures().get(0).recordId());
    assertEquals(1, report.left(ORDERS, 1));
    assertSame(before, source.records.get("0007"));
  }

  @Test
  void recordThatChangesMeanwhile_keepsTheChange() {
    fill(3, 0);
    byte[] written = rig.sealed("0001");
    source.beforeReplace =
        () -> {
          source.beforeReplace = () -> {};
          source.records.replaceAll((id, old) -> id.equals("0000") ? written : old);
        };
    RewrapReport report = job(source).build().run();
    assertEquals(new RewrapCounts(3, 0, 2, 1, 0, 0, 0, Map.of()), report.counts());
    assertSame(written, source.records.get("0000"));
    source.beforeReplace = () -> {};
  }

  @Test
  void dryRunCounts_verifyCallsItAFailure_andNeitherWrites() {
    fill(4, 1);
    Map<String, byte[]> before = Map.copyOf(source.records);
    RewrapReport dry = job(source).build().dryRun();
    assertEquals(new RewrapCounts(5, 1, 4, 0, 0, 0, 0, Map.of()), dry.counts());
    assertEquals(4, dry.left(ORDERS, 1));
    assertEquals(
        Map.of(Reason.NEEDS_REENCRYPT, 4L), job(source).build().verify().counts().failures());
    before.forEach((id, envelope) -> assertSame(envelope, source.records.get(id)));
  }

  @Test
  void resumedJob_goesOnAndCountsEachRecordOnce() {
    fill(35, 0);
    checkpoint.failingFrom = 3;
    assertThrows(RewrapException.class, () -> job(source).build().run());
    checkpoint.failingFrom = Integer.MAX_VALUE;
    RewrapReport report = job(source).build().run();
    assertTrue(report.wasResumed());
    assertEquals(35, report.counts().scanned());
    // The third batch was done, and its checkpoint was not saved.
    assertEquals(25, report.counts().reencrypted());
    assertEquals(10, report.counts().alreadyThere());
  }

  @Test
  void rootKeyThatIsDown_stopsTheJobAndBlamesNoRecord() {
    fill(3, 0);
    try (Kms another = rig.withoutCache()) {
      Rewrapper job =
          another
              .rewrapper(RewrapRig.ORDERS)
              .source(source)
              .checkpoint(checkpoint)
              .patience(Duration.ZERO)
              .reencryptCompromised(
                  (from, record) -> {
                    rig.root.always(
                        Fault.failing(
                            dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNAVAILABLE));
                    return EncryptionContext.of("id", record.id());
                  })
              .build();
      RewrapException stopped = assertThrows(RewrapException.class, job::run);
      assertEquals(RewrapException.Reason.KEYS_UNAVAILABLE, stopped.reason());
    }
  }

  @Test
  void sourceThatCannotReplaceWholeEnvelopes_isRefusedAtOnce() {
    EnvelopeSource headersOnly =
        (EnvelopeSource)
            Proxy.newProxyInstance(
                EnvelopeSource.class.getClassLoader(),
                new Class<?>[] {EnvelopeSource.class},
                (proxy, method, args) -> method.invoke(source, args));
    Rewrapper.Builder job = job(headersOnly);
    IllegalStateException refused = assertThrows(IllegalStateException.class, job::build);
    assertTrue(refused.getMessage().contains("list"), refused::getMessage);
  }

  // --- files ---

  private Path put(Path root, String id, byte[] message) throws IOException {
    ByteArrayOutputStream envelope = new ByteArrayOutputStream();
    rig.orders()
        .encrypt(new ByteArrayInputStream(message), envelope, EncryptionContext.of("id", id));
    Path file = root.resolve(id);
    Files.createDirectories(file.getParent());
    return Files.write(file, envelope.toByteArray());
  }

  private static List<String> names(Path root) throws IOException {
    try (Stream<Path> files = Files.walk(root)) {
      return files
          .filter(Files::isRegularFile)
          .map(file -> root.relativize(file).toString())
          .filter(name -> !name.equals(".sealwax-rewrap.lock"))
          .sorted()
          .toList();
    }
  }

  @Test
  void files_areReplacedAsAWholeAndKeepTheirPermissions(@TempDir Path root) throws IOException {
    Path large = put(root, "large", new byte[300_000]);
    Path deep = put(root, "a/b", new byte[10]);
    Files.setPosixFilePermissions(large, PosixFilePermissions.fromString("rw-r-----"));
    Files.write(root.resolve(".sealwax-rewrap.left-by-a-crash.tmp"), new byte[10]);
    rig.kms.keysets().rotate(RewrapRig.ORDERS);
    rig.kms.keysets().compromise(RewrapRig.ORDERS, 1);
    byte[] damaged = Files.readAllBytes(large);
    damaged[200_000] ^= 1;
    Files.write(root.resolve("damaged"), damaged);
    Object before = Files.getAttribute(large, "unix:ino");
    try (EnvelopeSource files = DirectoryEnvelopeSource.of(root)) {
      RewrapReport report =
          job(files)
              .reencryptCompromised(
                  (from, record) ->
                      EncryptionContext.of(
                          "id", record.id().equals("damaged") ? "large" : record.id()))
              .build()
              .run();
      assertEquals(
          new RewrapCounts(3, 0, 2, 0, 0, 0, 0, Map.of(Reason.NOT_REENCRYPTED, 1L)),
          report.counts());
    }
    assertArrayEquals(
        new byte[300_000],
        rig.orders().decrypt(Files.readAllBytes(large), EncryptionContext.of("id", "large")));
    assertArrayEquals(
        new byte[10],
        rig.orders().decrypt(Files.readAllBytes(deep), EncryptionContext.of("id", "a/b")));
    assertNotEquals(before, Files.getAttribute(large, "unix:ino"));
    assertEquals("rw-r-----", PosixFilePermissions.toString(Files.getPosixFilePermissions(large)));
    assertArrayEquals(damaged, Files.readAllBytes(root.resolve("damaged")));
    assertEquals(List.of("a/b", "damaged", "large"), names(root));
  }

  @Test
  void filesThatTheApplicationWritesMeanwhile_keepWhatItWrote(@TempDir Path root)
      throws IOException {
    List<String> ids = List.of("renamed", "written", "deleted", "truncated");
    for (String id : ids) {
      put(root, id, new byte[100_000]);
    }
    rig.kms.keysets().rotate(RewrapRig.ORDERS);
    rig.kms.keysets().compromise(RewrapRig.ORDERS, 1);
    byte[] written = rig.sealed("new");
    try (DirectoryEnvelopeSource files = DirectoryEnvelopeSource.of(root)) {
      for (String id : ids) {
        EnvelopeRecord record = files.read(id).orElseThrow();
        Path file = root.resolve(id);
        ReplaceOutcome outcome =
            files.replaceEnvelope(
                record,
                (in, out) -> {
                  rig.orders().reencrypt(in, out, EncryptionContext.of("id", id));
                  switch (id) {
                    case "renamed" ->
                        Files.move(
                            Files.write(root.resolve("unfinished"), written),
                            file,
                            StandardCopyOption.ATOMIC_MOVE);
                    case "written" -> {
                      try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
                        channel.write(java.nio.ByteBuffer.wrap(written));
                        channel.truncate(written.length);
                      }
                    }
                    case "deleted" -> Files.delete(file);
                    default -> {
                      try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
                        channel.truncate(99_000);
                      }
                    }
                  }
                });
        assertEquals(
            id.equals("deleted") ? ReplaceOutcome.GONE : ReplaceOutcome.CHANGED_MEANWHILE,
            outcome,
            id);
      }
    }
    assertArrayEquals(written, Files.readAllBytes(root.resolve("renamed")));
    assertArrayEquals(written, Files.readAllBytes(root.resolve("written")));
    assertEquals(99_000, Files.size(root.resolve("truncated")));
    assertEquals(List.of("renamed", "truncated", "written"), names(root));
  }

  @Test
  void replacementThatThrows_leavesTheFileAndNothingElse(@TempDir Path root) throws IOException {
    Path file = put(root, "a", new byte[100_000]);
    byte[] before = Files.readAllBytes(file);
    try (DirectoryEnvelopeSource files = DirectoryEnvelopeSource.of(root)) {
      EnvelopeRecord record = files.read("a").orElseThrow();
      assertThrows(
          DecryptionFailedException.class,
          () ->
              files.replaceEnvelope(
                  record, (in, out) -> rig.orders().reencrypt(in, out, EncryptionContext.empty())));
      assertThrows(
          IOException.class,
          () ->
              files.replaceEnvelope(
                  record,
                  (in, out) -> {
                    out.write(1);
                    throw new IOException("no");
                  }));
    }
    assertArrayEquals(before, Files.readAllBytes(file));
    assertEquals(List.of("a"), names(root));
  }

  @Test
  void recordWhoseContextNobodyKnows_isOneFailure() {
    fill(12, 0);
    RewrapReport report =
        job(source)
            .reencryptCompromised(
                (from, record) -> record.id().equals("0007") ? null : BY_ID.of(from, record))
            .build()
            .run();
    assertEquals(
        new RewrapCounts(12, 0, 11, 0, 0, 0, 0, Map.of(Reason.NOT_REENCRYPTED, 1L)),
        report.counts());
  }

  /** A new header is allowed by a keyset as of now, and a re-encryption may take an hour. */
  @Test
  void headersOfABatch_areWrittenBeforeTheFirstReencryption() {
    fill(5, 5);
    job(source)
        .reencryptCompromised(
            (from, record) -> {
              assertEquals(3, source.version("0009"));
              return BY_ID.of(from, record);
            })
        .build()
        .run();
  }

  /** By size and time of the last change alone nobody would see it. */
  @Test
  void overwritingThatHidesItself_isNoticed(@TempDir Path root) throws IOException {
    Path file = put(root, "a", new byte[100_000]);
    try (DirectoryEnvelopeSource files = DirectoryEnvelopeSource.of(root)) {
      EnvelopeRecord record = files.read("a").orElseThrow();
      FileTime time = Files.getLastModifiedTime(file);
      ReplaceOutcome outcome =
          files.replaceEnvelope(
              record,
              (in, out) -> {
                out.write(in.readAllBytes());
                try (RandomAccessFile writer = new RandomAccessFile(file.toFile(), "rw")) {
                  writer.seek(90_000);
                  writer.write(77);
                }
                Files.setLastModifiedTime(file, time);
              });
      assertEquals(ReplaceOutcome.CHANGED_MEANWHILE, outcome);
    }
    assertEquals(77, Files.readAllBytes(file)[90_000]);
  }

  /** What another file lacks says nothing about the record. */
  @Test
  void replacementThatMissesAFile_isNoMissingRecord(@TempDir Path root) throws IOException {
    put(root, "a", new byte[100]);
    try (DirectoryEnvelopeSource files = DirectoryEnvelopeSource.of(root)) {
      EnvelopeRecord record = files.read("a").orElseThrow();
      for (FileSystemException thrown :
          List.of(new NoSuchFileException("other"), new AccessDeniedException("other"))) {
        assertSame(
            thrown,
            assertThrows(
                FileSystemException.class,
                () ->
                    files.replaceEnvelope(
                        record,
                        (in, out) -> {
                          throw thrown;
                        })));
      }
    }
  }

  @Test
  void fileThatChangesWhileItIsRead_isJudgedAnew(@TempDir Path root) throws IOException {
    Path file = put(root, "a", new byte[100]);
    try (DirectoryEnvelopeSource files = DirectoryEnvelopeSource.of(root)) {
      EnvelopeRecord record = files.read("a").orElseThrow();
      ReplaceOutcome outcome =
          files.replaceEnvelope(
              record,
              (in, out) -> {
                Files.write(file, new byte[200]);
                throw new DecryptionFailedException();
              });
      assertEquals(ReplaceOutcome.CHANGED_MEANWHILE, outcome);
    }
  }

  @Test
  void directoryThatIsOpen_isRefusedUntilItIsClosed(@TempDir Path root) throws IOException {
    Files.createDirectories(root.resolve(".sealwax-rewrap.none-of-ours.tmp/inside"));
    try (DirectoryEnvelopeSource first = DirectoryEnvelopeSource.of(root)) {
      assertThrows(IOException.class, () -> DirectoryEnvelopeSource.of(root));
      // POSIX drops the locks of a process with any channel that it closes.
      assertTrue(isLockedForOthers(root.resolve(".sealwax-rewrap.lock")));
      first.close();
      first.close();
    }
    DirectoryEnvelopeSource.of(root).close();
  }

  private static boolean isLockedForOthers(Path file) throws IOException {
    String inode = ":" + Files.getAttribute(file, "unix:ino") + " ";
    return Files.readAllLines(Path.of("/proc/locks")).stream()
        .anyMatch(line -> line.contains("POSIX") && line.contains(inode));
  }
}
