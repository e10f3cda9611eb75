package dev.sealwax.kms.rewrap;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeInfo;
import dev.sealwax.kms.rewrap.RewrapFailure.Reason;
import dev.sealwax.kms.testkit.FaultyRootKey.Fault;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import dev.sealwax.kms.vocabulary.RewrapException;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RewrapperTest {
  private static final KeysetId ORDERS = KeysetId.of(RewrapRig.ORDERS);

  private final RewrapRig rig = RewrapRig.create();
  private final ListSource source = new ListSource();
  private final MemoryCheckpoint checkpoint = new MemoryCheckpoint();

  @AfterEach
  void close() {
    rig.close();
  }

  private Rewrapper.Builder job() {
    return rig.kms
        .rewrapper(RewrapRig.ORDERS)
        .source(source)
        .checkpoint(checkpoint)
        .batchSize(10)
        .patience(Duration.ZERO);
  }

  /** Records under version 1, and a primary 2. */
  private void fill(int count) {
    for (int i = 0; i < count; i++) {
      String id = String.format("%04d", i);
      source.with(id, rig.sealed(id));
    }
    rig.kms.keysets().rotate(RewrapRig.ORDERS);
  }

  private static RewrapException.Reason reason(Rewrapper rewrapper) {
    return assertThrows(RewrapException.class, rewrapper::run).reason();
  }

  // --- moving ---

  @ParameterizedTest
  @ValueSource(ints = {1, 3})
  void run_movesEveryHeaderAndNothingElse(int workers) {
    fill(37);
    Map<String, byte[]> before = Map.copyOf(source.records);

    RewrapReport report = job().workers(workers).build().run();

    assertEquals(new RewrapCounts(37, 37, 0, 0, 0, 0, 0, Map.of()), report.counts());
    before.forEach(
        (id, old) -> {
          byte[] now = source.records.get(id);
          int header = EnvelopeInfo.inspect(now).headerLengthBytes();
          assertEquals(2, EnvelopeInfo.inspect(now).keyVersion());
          assertArrayEquals(
              java.util.Arrays.copyOfRange(old, header, old.length),
              java.util.Arrays.copyOfRange(now, header, now.length));
          assertTrue(rig.opens(id, now));
        });
    assertEquals(
        List.of(new VersionCount(ORDERS, 1, 37, 0), new VersionCount(ORDERS, 2, 0, 37)),
        report.versions());
  }

  @Test
  void run_again_findsEverythingThereAndWritesNothing() {
    fill(25);
    job().build().run();
    int writes = source.writes.get();

    RewrapReport again = job().build().run();

    assertEquals(new RewrapCounts(25, 0, 0, 25, 0, 0, 0, Map.of()), again.counts());
    assertEquals(writes, source.writes.get());
    assertFalse(again.wasResumed());
  }

  @Test
  void dryRunAndVerify_countAndWriteNothing() {
    fill(12);
    Map<String, byte[]> before = Map.copyOf(source.records);

    RewrapReport dry = job().build().dryRun();
    RewrapReport verified = job().build().verify();

    assertEquals(12, dry.counts().moved());
    assertEquals(12, dry.left(ORDERS, 1));
    assertEquals(dry.counts(), verified.counts());
    before.forEach((id, envelope) -> assertSame(envelope, source.records.get(id)));
  }

  @Test
  void verify_askesTheCallersCheck() throws IOException {
    fill(12);
    source.with("0003", rig.sealed("another message"));
    byte[] damaged = source.records.get("0005").clone();
    damaged[damaged.length - 1] ^= 1;
    source.with("0005", damaged);
    EnvelopeCheck check = (of, record) -> rig.opens(record.id(), source.records.get(record.id()));

    RewrapReport report = job().check(check).build().verify();

    assertEquals(Map.of(Reason.CHECK_FAILED, 2L), report.counts().failures());
    assertEquals(
        List.of("0003", "0005"), report.failures().stream().map(RewrapFailure::recordId).toList());
    assertEquals(12, report.counts().scanned());
    assertEquals(Map.of(), job().check(check).build().run().counts().failures(), "verify only");
  }

  @Test
  void severalSourcesAndKeysets_areDoneInOneJob() {
    fill(15);
    ListSource second = new ListSource();
    second.identity = "second";
    second.with("a", rig.sealed(RewrapRig.CUSTOMERS, "a")).with("b", rig.sealed("b"));
    rig.kms.keysets().rotate(RewrapRig.CUSTOMERS);

    RewrapReport report =
        rig.kms
            .rewrapper(RewrapRig.ORDERS, RewrapRig.CUSTOMERS)
            .source(source)
            .source(second)
            .checkpoint(checkpoint)
            .build()
            .run();

    assertEquals(16, report.counts().moved());
    assertEquals(1, report.counts().alreadyThere());
    assertEquals(1, report.left(KeysetId.of(RewrapRig.CUSTOMERS), 2));
    assertEquals(16, report.left(ORDERS, 2));
    assertEquals(List.of("list", "second"), report.sources());
  }

  // --- records that cannot be moved ---

  /** Changes one record, runs, and tells what became of it. */
  private RewrapReport runWith(String id, byte[] envelope) {
    source.with(id, envelope);
    return job().build().run();
  }

  private void assertOnlyFailure(Reason reason, RewrapReport report) {
    assertEquals(Map.of(reason, 1L), report.counts().failures());
    assertEquals(1, report.failures().size());
    assertEquals("list", report.failures().get(0).source());
    assertTrue(
        report.mayDestroy(RewrapRig.ORDERS, 1).obstacles().contains(Obstacle.RECORDS_FAILED));
  }

  @Test
  void noEnvelope_isListedAndTheRestIsMoved() {
    fill(20);
    RewrapReport report = runWith("0007", "plain old text".getBytes(UTF_8));
    assertOnlyFailure(Reason.NOT_AN_ENVELOPE, report);
    assertEquals(19, report.counts().moved());
    assertEquals("0007", report.failures().get(0).recordId());
  }

  @Test
  void forgeryThatClaimsThePrimary_isNeverAlreadyThere() {
    fill(20);
    byte[] forged = rig.sealed("0007");
    forged[forged.length - 1] ^= 1; // the body is nobody's business here
    int wrapped = EnvelopeInfo.inspect(forged).headerLengthBytes() - 72;
    forged[wrapped] ^= 1;
    RewrapReport report = runWith("0007", forged);
    assertOnlyFailure(Reason.NOT_AUTHENTIC, report);
    assertEquals(0, report.counts().alreadyThere());
    assertEquals(1, report.left(ORDERS, 2) - report.counts().moved());
  }

  @Test
  void forgedCommitmentUnderAnOldVersion_isNotMoved() {
    fill(20);
    byte[] forged = source.records.get("0007").clone();
    forged[EnvelopeInfo.inspect(forged).headerLengthBytes() - 1] ^= 1;
    RewrapReport report = runWith("0007", forged);
    assertOnlyFailure(Reason.NOT_AUTHENTIC, report);
    assertSame(forged, source.records.get("0007"));
    assertEquals(1, report.left(ORDERS, 1));
  }

  @Test
  void unknownVersion_isListedButNotInTheTable() {
    fill(20);
    byte[] forged = source.records.get("0007").clone();
    forged[EnvelopeInfo.inspect(forged).headerLengthBytes() - 73] = 77;
    RewrapReport report = runWith("0007", forged);
    assertOnlyFailure(Reason.VERSION_UNKNOWN, report);
    assertEquals(2, report.versions().size());
  }

  @Test
  void recordsOfOtherKeysetsAndWithoutValue_areSkipped() {
    fill(20);
    source.with("0003", ListSource.NO_VALUE);
    RewrapReport report = runWith("0007", rig.sealed(RewrapRig.CUSTOMERS, "x"));
    assertEquals(new RewrapCounts(20, 18, 0, 0, 1, 1, 0, Map.of()), report.counts());
  }

  @Test
  void versionsThatMayNotBeUsed_areListedByReason() {
    fill(1);
    source.with("v2", rig.sealed("v2"));
    rig.kms.keysets().rotate(RewrapRig.ORDERS);
    source.with("v3", rig.sealed("v3"));
    rig.kms.keysets().rotate(RewrapRig.ORDERS);
    source.with("v4", rig.sealed("v4"));
    rig.kms.keysets().rotate(RewrapRig.ORDERS);
    rig.kms.keysets().scheduleDestruction(RewrapRig.ORDERS, 1);
    try (Kms later = rig.later(Duration.ofDays(40))) {
      later.keysets().destroy(RewrapRig.ORDERS, 1);
    }
    rig.kms.keysets().compromise(RewrapRig.ORDERS, 2);
    rig.kms.keysets().disable(RewrapRig.ORDERS, 3);
    rig.kms.keysets().scheduleDestruction(RewrapRig.ORDERS, 4);

    RewrapReport report = job().build().run();

    assertEquals(
        Map.of(
            Reason.VERSION_DESTROYED, 1L,
            Reason.NEEDS_REENCRYPT, 1L,
            Reason.VERSION_DISABLED, 1L,
            Reason.VERSION_DESTRUCTION_SCHEDULED, 1L),
        report.counts().failures());
    for (int version = 1; version <= 4; version++) {
      assertEquals(1, report.left(ORDERS, version));
    }
    assertEquals(0, source.writes.get());
  }

  @Test
  void failuresBeyondAThousand_goToTheListenerOnly() {
    fill(0);
    for (int i = 0; i < 1200; i++) {
      source.with(String.format("%04d", i), new byte[] {1});
    }
    AtomicInteger told = new AtomicInteger();
    RewrapReport report =
        job()
            .listener(
                new RewrapListener() {
                  @Override
                  public void onFailure(RewrapFailure failure) {
                    told.incrementAndGet();
                  }
                })
            .build()
            .run();
    assertEquals(1200, report.counts().failed());
    assertEquals(1000, report.failures().size());
    assertEquals(1200, told.get());
  }

  // --- the application writes at the same time ---

  @Test
  void recordThatChangesBeforeTheWrite_keepsTheChangeAndIsMoved() {
    fill(20);
    try (Kms stale = rig.another()) {
      byte[] written = stale.envelopeCipher(RewrapRig.ORDERS).rewrap(rig.sealed("0007"));
      byte[] underOne = source.records.get("0008");
      AtomicInteger round = new AtomicInteger();
      source.beforeReplace =
          () -> {
            if (round.getAndIncrement() == 0) {
              source.with("0007", written);
              source.with("0009", underOne);
              source.records.remove("0003");
            }
          };

      RewrapReport report = job().build().run();

      assertSame(written, source.records.get("0007"));
      assertEquals(2, source.version("0009"));
      assertEquals(new RewrapCounts(20, 18, 0, 1, 0, 0, 1, Map.of()), report.counts());
      assertTrue(rig.opens("0008", source.records.get("0009")));
    }
  }

  @Test
  void recordThatChangesEachTime_isListed() {
    fill(5);
    byte[][] versions = {source.records.get("0001"), source.records.get("0002")};
    // Two data keys, so that their headers differ.
    rig.kms.keysets().promote(RewrapRig.ORDERS, 1);
    rig.kms.discardDataKeys();
    versions[1] = rig.sealed("other");
    rig.kms.keysets().promote(RewrapRig.ORDERS, 2);
    AtomicInteger round = new AtomicInteger();
    source.beforeReplace = () -> source.with("0001", versions[round.incrementAndGet() % 2]);

    RewrapReport report = job().build().run();

    assertOnlyFailure(Reason.KEEPS_CHANGING, report);
    assertEquals(4, report.counts().moved());
  }

  @Test
  void recordThatTheSourceRefuses_isListed() {
    fill(5);
    source.refused = "0001";
    RewrapReport report = job().build().run();
    assertOnlyFailure(Reason.WRITE_REFUSED, report);
    assertEquals(1, report.left(ORDERS, 1));
  }

  // --- failures that are no record's ---

  @Test
  void rootKeyThatIsDown_stopsTheJobAndBlamesNoRecord() {
    fill(30);
    try (Kms strict = rig.withoutCache()) {
      AtomicInteger batches = new AtomicInteger();
      source.beforeReplace =
          () -> {
            if (batches.incrementAndGet() == 2) {
              rig.root.always(Fault.failing(RootKeyException.Reason.UNAVAILABLE));
            }
          };
      List<Duration> pauses = new CopyOnWriteArrayList<>();
      Rewrapper rewrapper =
          strict
              .rewrapper(RewrapRig.ORDERS)
              .source(source)
              .checkpoint(checkpoint)
              .batchSize(10)
              .patience(Duration.ofMillis(400))
              .listener(
                  new RewrapListener() {
                    @Override
                    public void onPause(
                        RewrapException.Reason reason, Exception cause, Duration pause) {
                      pauses.add(pause);
                    }
                  })
              .build();

      RewrapException stopped = assertThrows(RewrapException.class, rewrapper::run);

      assertSame(RewrapException.Reason.KEYS_UNAVAILABLE, stopped.reason());
      assertInstanceOf(RootKeyException.class, stopped.getCause());
      assertEquals(List.of(Duration.ofMillis(100), Duration.ofMillis(200)), pauses);
      rig.root.always(Fault.NONE);
      RewrapReport report = rewrapper.run();
      assertEquals(new RewrapCounts(30, 30, 0, 0, 0, 0, 0, Map.of()), report.counts());
      assertTrue(report.wasResumed());
    }
  }

  @Test
  void rootKeyThatFailsForAMoment_isWaitedFor() {
    fill(10);
    try (Kms strict = rig.withoutCache()) {
      Rewrapper rewrapper = strict.rewrapper(RewrapRig.ORDERS).source(source).build();
      rig.root.next(Fault.failing(RootKeyException.Reason.THROTTLED));
      assertEquals(10, rewrapper.run().counts().moved());
    }
  }

  @Test
  void rootKeyThatDenies_isNotWaitedFor() {
    fill(10);
    try (Kms strict = rig.withoutCache()) {
      Rewrapper rewrapper =
          strict.rewrapper(RewrapRig.ORDERS).source(source).patience(Duration.ofDays(1)).build();
      rig.root.always(Fault.failing(RootKeyException.Reason.ACCESS_DENIED));
      assertSame(RewrapException.Reason.KEYS_UNAVAILABLE, reason(rewrapper));
    }
  }

  @Test
  void primaryThatIsDisabled_stopsTheJobAndBlamesNoRecord() {
    fill(30);
    rig.kms.keysets().disable(RewrapRig.ORDERS, 2);
    assertSame(RewrapException.Reason.KEYS_UNAVAILABLE, reason(job().build()));

    rig.kms.keysets().enable(RewrapRig.ORDERS, 2);
    AtomicInteger batches = new AtomicInteger();
    source.beforeReplace =
        () -> {
          if (batches.incrementAndGet() == 2) {
            rig.kms.keysets().disable(RewrapRig.ORDERS, 2);
          }
        };
    assertSame(RewrapException.Reason.KEYS_UNAVAILABLE, reason(job().build()));
    assertEquals(20, source.writes.get());
  }

  @Test
  void primaryThatIsDisabled_isNotHeldAgainstRecordsUnderIt() {
    source.with("a", rig.sealed("a")).with("b", rig.sealed("b"));
    source.beforeScan = () -> rig.kms.keysets().disable(RewrapRig.ORDERS, 1);
    assertSame(RewrapException.Reason.KEYS_UNAVAILABLE, reason(job().build()));
  }

  @Test
  void sourceThatFails_isWaitedForAndThenStopsTheJob() {
    fill(30);
    AtomicInteger calls = new AtomicInteger();
    source.beforeReplace =
        () -> {
          if (calls.incrementAndGet() == 2) {
            throw new IOException("connection reset");
          }
        };
    assertEquals(30, job().patience(Duration.ofSeconds(5)).build().run().counts().moved());

    checkpoint.text = null;
    source.beforeScan =
        () -> {
          throw new IOException("connection refused");
        };
    assertSame(RewrapException.Reason.SOURCE_UNAVAILABLE, reason(job().build()));
  }

  @Test
  void sourceThatThrowsSomethingElse_stopsTheJobAtOnce() {
    fill(30);
    source.beforeReplace =
        () -> {
          throw new IllegalStateException("a defect");
        };
    RewrapException stopped =
        assertThrows(RewrapException.class, () -> job().patience(Duration.ofDays(1)).build().run());
    assertSame(RewrapException.Reason.SOURCE_UNAVAILABLE, stopped.reason());
    assertInstanceOf(IllegalStateException.class, stopped.getCause());
  }

  @Test
  void diskThatIsFullAtACheckpoint_stopsTheJobAfterOneBatch() {
    fill(50);
    checkpoint.failingFrom = 3;
    assertSame(RewrapException.Reason.CHECKPOINT_UNAVAILABLE, reason(job().build()));
    assertEquals(30, source.writes.get());

    checkpoint.failingFrom = Integer.MAX_VALUE;
    RewrapReport report = job().build().run();
    // The batch whose checkpoint was lost is done again, and no other.
    assertEquals(new RewrapCounts(50, 40, 0, 10, 0, 0, 0, Map.of()), report.counts());
  }

  @Test
  void threadThatIsInterrupted_stopsAfterTheBatchAndStaysInterrupted() {
    fill(50);
    AtomicInteger batches = new AtomicInteger();
    Thread self = Thread.currentThread();
    source.beforeReplace =
        () -> {
          if (batches.incrementAndGet() == 2) {
            self.interrupt();
          }
        };
    assertSame(RewrapException.Reason.INTERRUPTED, reason(job().build()));
    assertTrue(Thread.interrupted());
    assertTrue(source.writes.get() <= 20);
    source.beforeReplace = () -> {};
    assertEquals(50, job().build().run().counts().scanned());
    assertEquals(0, source.records.keySet().stream().filter(id -> source.version(id) == 1).count());
  }

  // --- checkpoints ---

  /** Runs until the checkpoint after {@code batches} batches. */
  private void interruptAfter(int batches) {
    checkpoint.saves = 0;
    checkpoint.failingFrom = batches + 1;
    assertSame(RewrapException.Reason.CHECKPOINT_UNAVAILABLE, reason(job().build()));
    checkpoint.failingFrom = Integer.MAX_VALUE;
  }

  @Test
  void checkpointOfAnotherJob_isRefused() {
    fill(30);
    interruptAfter(1);

    source.identity = "another list";
    assertSame(RewrapException.Reason.OTHER_JOB, reason(job().build()));
    source.identity = "list";
    assertSame(
        RewrapException.Reason.OTHER_JOB,
        reason(
            rig.kms
                .rewrapper(RewrapRig.ORDERS, RewrapRig.CUSTOMERS)
                .source(source)
                .checkpoint(checkpoint)
                .build()));
    assertSame(
        RewrapException.Reason.OTHER_JOB,
        assertThrows(RewrapException.class, () -> job().build().dryRun()).reason());
    rig.kms.keysets().rotate(RewrapRig.ORDERS);
    assertSame(RewrapException.Reason.OTHER_JOB, reason(job().build()));
  }

  @Test
  void checkpointThatIsComplete_startsANewScanAlsoAfterARotation() {
    fill(30);
    job().build().run();
    rig.kms.keysets().rotate(RewrapRig.ORDERS);
    RewrapReport report = job().build().run();
    assertEquals(30, report.counts().moved());
    assertEquals(30, report.left(ORDERS, 3));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "sealwax-rewrap-checkpoint/v1\n", "{}"})
  void checkpointThatIsDamaged_isRefused(String text) {
    fill(3);
    checkpoint.text = text;
    assertSame(RewrapException.Reason.CHECKPOINT_CORRUPTED, reason(job().build()));
    assertEquals(0, source.writes.get());
  }

  @Test
  void resume_doesAtMostOneBatchAgain() {
    fill(60);
    interruptAfter(2);
    assertEquals(30, source.writes.get());
    source.pages.clear();

    RewrapReport report = job().workers(4).build().run();

    assertEquals(List.of(10, 10, 10, 10, 0), source.pages);
    assertEquals(new RewrapCounts(60, 50, 0, 10, 0, 0, 0, Map.of()), report.counts());
    assertTrue(report.wasResumed());
  }

  @Test
  void checkpoint_holdsNoSecretAndOneRecordId() {
    fill(30);
    interruptAfter(1);
    String text = checkpoint.text;
    assertEquals(1, text.lines().filter(line -> line.matches("position 0009")).count(), text);
    assertFalse(text.contains("0010"));
  }

  @Test
  void toStrings_nameNoRecord() {
    fill(3);
    source.with("secret-id", new byte[] {7});
    RewrapReport report = job().build().run();
    String all = report + report.describe() + report.failures() + source.read("secret-id");
    assertFalse(all.contains("secret-id"), all);
  }

  // --- pace and progress ---

  @Test
  void recordsPerSecond_areKept() {
    fill(60);
    long start = System.nanoTime();
    job().recordsPerSecond(100).build().run();
    // The last batch is not paid for by anybody.
    assertTrue(System.nanoTime() - start >= 490_000_000L);
    assertEquals(10, source.pages.get(0));
    source.pages.clear();
    source.records.headMap("0056").clear();
    job().recordsPerSecond(3).build().run();
    assertEquals(List.of(3, 1, 0), source.pages, "no batch is worth more than a second");
  }

  @Test
  void progress_growsToTheTotal() {
    fill(35);
    List<RewrapProgress> told = new ArrayList<>();
    StringBuilder shown = new StringBuilder();
    RewrapProgressBar bar = RewrapProgressBar.onTerminal(shown);
    job()
        .listener(
            new RewrapListener() {
              @Override
              public void onProgress(RewrapProgress progress) {
                told.add(progress);
                bar.onProgress(progress);
              }
            })
        .build()
        .run();
    assertEquals(
        List.of(10L, 20L, 30L, 35L), told.stream().map(p -> p.counts().scanned()).toList());
    assertEquals(35, told.get(0).total().orElseThrow());
    assertEquals(Duration.ZERO, told.get(3).remaining().orElseThrow());
    assertTrue(told.get(3).recordsPerSecond() > 0);
    assertTrue(
        shown
            .toString()
            .startsWith("\r[########......................]  28 % 10 scanned, 10 moved"),
        shown.toString());
  }

  // --- safe to destroy ---

  @Test
  void mayDestroy_needsASecondScanThatMeetsNothing() {
    fill(10);
    Duration atOnce = Duration.ZERO;

    RewrapReport first = job().settlingTime(atOnce).build().run();
    assertEquals(
        Set.of(Obstacle.MET_BY_THIS_SCAN), first.mayDestroy(RewrapRig.ORDERS, 1).obstacles());
    assertEquals(
        Set.of(Obstacle.IS_PRIMARY, Obstacle.RECORDS_LEFT),
        first.mayDestroy(RewrapRig.ORDERS, 2).obstacles());

    RewrapReport second = job().settlingTime(atOnce).build().verify();
    assertTrue(second.mayDestroy(RewrapRig.ORDERS, 1).isSafe(), second::describe);
    assertEquals(
        Set.of(Obstacle.NO_SUCH_VERSION), second.mayDestroy(RewrapRig.ORDERS, 3).obstacles());
    assertThrows(IllegalArgumentException.class, () -> second.mayDestroy(RewrapRig.CUSTOMERS, 1));
  }

  @Test
  void mayDestroy_waitsForWritersThatHaveNotHeard() {
    fill(10);
    Rewrapper rewrapper = job().settlingTime(Duration.ofHours(3)).build();
    rewrapper.run();
    RewrapReport soon = rewrapper.run();
    DestructionVerdict verdict = soon.mayDestroy(RewrapRig.ORDERS, 1);
    assertEquals(Set.of(Obstacle.WRITERS_MAY_REMAIN), verdict.obstacles());
    assertTrue(verdict.scanAgainAfter().isAfter(Instant.now().plus(Duration.ofMinutes(179))));

    checkpoint.text = older(checkpoint.text, Duration.ofHours(4));
    assertTrue(rewrapper.run().mayDestroy(RewrapRig.ORDERS, 1).isSafe());

    // Another primary in between, if only for a moment, starts the clock anew.
    checkpoint.text = older(checkpoint.text, Duration.ofHours(4));
    rig.kms.keysets().promote(RewrapRig.ORDERS, 1);
    rig.kms.keysets().promote(RewrapRig.ORDERS, 2);
    assertEquals(
        Set.of(Obstacle.WRITERS_MAY_REMAIN),
        rewrapper.run().mayDestroy(RewrapRig.ORDERS, 1).obstacles());
  }

  /** The checkpoint as it would be if the scan had been earlier. */
  private static String older(String text, Duration by) {
    RewrapState state = RewrapStateText.read(text);
    return RewrapStateText.write(
        new RewrapState(
            state.job(),
            state.startedAt().minus(by),
            state.sources(),
            state.at(),
            state.position(),
            state.targets().stream()
                .map(
                    target ->
                        new MoveTarget(
                            target.keyset(),
                            target.primary(),
                            target.primarySince(),
                            target.since().minus(by)))
                .toList(),
            state.counts(),
            state.versions()));
  }

  @Test
  void mayDestroy_changeOfTheKeysetDuringTheScan_startsTheClockAnew() {
    fill(10);
    job().build().run();
    checkpoint.text = older(checkpoint.text, Duration.ofHours(4));
    source.beforeScan = () -> rig.kms.keysets().rotate(RewrapRig.ORDERS);
    RewrapReport report = job().build().run();
    assertTrue(
        report.mayDestroy(RewrapRig.ORDERS, 1).obstacles().contains(Obstacle.WRITERS_MAY_REMAIN));
  }

  @Test
  void mayDestroy_withoutACheckpoint_neverSaysYes() {
    fill(10);
    Rewrapper rewrapper = rig.kms.rewrapper(RewrapRig.ORDERS).source(source).build();
    rewrapper.run();
    assertEquals(
        Set.of(Obstacle.WRITERS_MAY_REMAIN),
        rewrapper.run().mayDestroy(RewrapRig.ORDERS, 1).obstacles());
  }

  @Test
  void writerThatHasNotHeard_isFoundByTheNextScan() {
    fill(20);
    byte[] underOne = source.records.get("0001");
    AtomicInteger batches = new AtomicInteger();
    source.beforeReplace =
        () -> {
          if (batches.incrementAndGet() == 2) {
            source.with("0000a", underOne); // behind the scan
          }
        };
    job().settlingTime(Duration.ZERO).build().run();
    assertEquals(1, source.version("0000a"));

    RewrapReport second = job().settlingTime(Duration.ZERO).build().run();
    assertFalse(second.mayDestroy(RewrapRig.ORDERS, 1).isSafe());
    assertTrue(
        job().settlingTime(Duration.ZERO).build().run().mayDestroy(RewrapRig.ORDERS, 1).isSafe());
  }

  // --- wiring ---

  @Test
  void builder_refusesWhatMakesNoSense() {
    assertThrows(IllegalStateException.class, () -> rig.kms.rewrapper("orders").build());
    assertThrows(IllegalStateException.class, () -> rig.kms.rewrapper().source(source).build());
    assertThrows(IllegalArgumentException.class, () -> job().batchSize(0));
    assertThrows(IllegalArgumentException.class, () -> job().batchSize(100_001));
    assertThrows(IllegalArgumentException.class, () -> job().workers(0));
    assertThrows(IllegalArgumentException.class, () -> job().workers(65));
    assertThrows(IllegalArgumentException.class, () -> job().recordsPerSecond(0));
    assertThrows(IllegalArgumentException.class, () -> job().patience(Duration.ofNanos(-1)));
    assertThrows(IllegalArgumentException.class, () -> job().settlingTime(Duration.ofNanos(-1)));
  }

  @Test
  void keysetThatIsMissing_stopsTheJob() {
    RewrapException stopped =
        assertThrows(
            RewrapException.class, () -> rig.kms.rewrapper("nobody").source(source).build().run());
    assertSame(RewrapException.Reason.KEYS_UNAVAILABLE, stopped.reason());
    assertInstanceOf(KeysetStoreException.class, stopped.getCause());
  }
}
