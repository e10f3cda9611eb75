package dev.sealwax.kms.keyset;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.cache.StackDive;
import dev.sealwax.kms.crypto.UsageMeter;
import dev.sealwax.kms.store.StoredKeyset;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What processes encrypt is counted in the store: exactly, but for what keyset-v1 §4.1 allows. */
final class UsageReportsTest {
  private static final int LIMIT = 1 << 17;
  private static final int BLOCK = LIMIT / UsageReports.BLOCKS_PER_LIMIT;

  private static final int DIVES = 5;

  private final Rig rig = new Rig();

  @BeforeEach
  void createOrders() {
    rig.keysets.create(
        "orders",
        KeysetTemplate.defaults().withRotationPolicy(RotationPolicy.manual().afterMessages(LIMIT)));
  }

  @AfterEach
  void close() {
    rig.close();
  }

  private UsageMeter meter(OpenKeysets process) {
    OpenKeyset open = process.open(KeysetId.of("orders"));
    Keyset keyset = open.snapshot(0);
    return open.meter(keyset, keyset.primary());
  }

  private KeyVersion stored() {
    return new Document(rig.store.stored("orders")).version(1);
  }

  /** What the document says, without any process that could report on the way. */
  private record Document(StoredKeyset stored) {
    KeyVersion version(int number) {
      return KeysetJson.read(stored).version(number).orElseThrow();
    }
  }

  @Test
  void belowABlock_writesNothing() {
    Rig.encrypt(meter(rig.process), BLOCK - 1, 5);
    assertEquals(0, rig.runBackground());
    assertEquals(1, rig.store.stored("orders").revision());
  }

  /** Cites KS-25. */
  @Test
  void blockFull_isReportedInTheBackground() {
    Rig.encrypt(meter(rig.process), BLOCK, 5);
    assertEquals(1, rig.store.stored("orders").revision(), "not on the thread that encrypts");
    assertEquals(1, rig.runBackground());
    assertEquals(BLOCK, stored().messages());
    assertEquals(5L * BLOCK, stored().bytes());
    assertEquals(0, meter(rig.process).messages());
  }

  @Test
  void bytes_makeABlockOfTheirOwn() {
    rig.keysets.setRotationPolicy("orders", RotationPolicy.manual().afterBytes(1L << 27));
    Rig.encrypt(meter(rig.process), 3, 1 << 20);
    assertTrue(rig.runBackground() > 0);
    assertEquals(3, stored().messages());
    assertEquals(3 << 20, stored().bytes());
  }

  /** Else none of the version would come any more. */
  @Test
  void report_whereverTheStackEnds_isNotTheLast() {
    KeysetTemplate dated = KeysetTemplate.defaults().withQuietPeriod(Duration.ofDays(1));
    for (int i = 0; i < DIVES; i++) {
      String name = "dated-" + i;
      rig.keysets.create(name, dated);
      OpenKeyset open = rig.open(name);
      Keyset keyset = open.snapshot(0);
      rig.refusesWork = true; // so that each step claims the report and gives it back
      StackDive.atEveryDepth(() -> open.meter(keyset, keyset.primary()));
      rig.refusesWork = false;
      rig.background.clear();
      open.meter(keyset, keyset.primary());
      assertEquals(1, rig.background.size(), "dive " + i);
      rig.background.clear();
    }
  }

  @Test
  void policyWithoutCounts_isNotMetered() {
    rig.keysets.setRotationPolicy("orders", RotationPolicy.defaults());
    assertNull(meter(rig.process));
  }

  @Test
  void policyThatNoLongerCounts_endsReports() {
    UsageMeter before = meter(rig.process);
    rig.process().keysets().setRotationPolicy("orders", RotationPolicy.defaults());
    Rig.encrypt(before, BLOCK, 1);
    rig.runBackground();
    assertEquals(0, stored().messages());
    assertEquals(2, rig.store.stored("orders").revision());
  }

  /** Cites KS-25. */
  @Test
  void close_reportsTheRest_andARestartGoesOn() {
    OpenKeysets first = rig.process();
    Rig.encrypt(meter(first), 10, 1);
    first.close();
    OpenKeysets second = rig.process();
    Rig.encrypt(meter(second), 20, 1);
    second.close();
    second.close();
    assertEquals(30, stored().messages());
    assertEquals(30, stored().bytes());
  }

  @Test
  void kill_losesLessThanABlock() {
    for (int i = 0; i < 5; i++) {
      Rig.encrypt(meter(rig.process()), 3 * BLOCK + BLOCK / 2, 1); // dropped without close
      rig.runBackground();
    }
    long used = 5L * (3 * BLOCK + BLOCK / 2);
    assertTrue(stored().messages() <= used);
    assertTrue(used - stored().messages() < 5L * BLOCK, stored().messages() + " of " + used);
  }

  @Test
  void storeFails_nothingIsLostAndNothingThrown() {
    UsageMeter meter = meter(rig.process);
    rig.store.beforeWrite = ScriptedStore::fail;
    Rig.encrypt(meter, 2 * BLOCK, 1);
    rig.runBackground();
    assertEquals(0, stored().messages());
    Rig.encrypt(meter, BLOCK / 2, 1);
    assertEquals(0, rig.runBackground(), "not tried again for every message");
    rig.store.beforeWrite = () -> {};
    Rig.encrypt(meter, BLOCK, 1);
    assertEquals(1, rig.runBackground());
    assertEquals(3 * BLOCK + BLOCK / 2, stored().messages());
  }

  @Test
  void storeFailsAtClose_closesAllTheSame() {
    OpenKeysets process = rig.process();
    Rig.encrypt(meter(process), 10, 1);
    rig.store.beforeWrite = ScriptedStore::fail;
    process.close();
    assertEquals(0, stored().messages());
  }

  @Test
  void outcomeUnknownButWritten_isNotCountedTwice() {
    UsageMeter meter = meter(rig.process);
    rig.store.afterWrite = ScriptedStore::fail;
    Rig.encrypt(meter, BLOCK, 1);
    rig.runBackground();
    rig.store.afterWrite = () -> {};
    Rig.encrypt(meter, BLOCK, 1);
    rig.runBackground();
    assertEquals(2 * BLOCK, stored().messages());
  }

  @Test
  void outcomeUnknownAndAnotherReportWon_isReportedAgain() {
    UsageMeter meter = meter(rig.process);
    OpenKeysets other = rig.process();
    Rig.encrypt(meter(other), 7, 1);
    rig.store.beforeWrite =
        ScriptedStore.once(
            () -> {
              other.close();
              ScriptedStore.fail();
            });
    Rig.encrypt(meter, BLOCK, 1);
    rig.runBackground();
    assertEquals(BLOCK + 7, stored().messages());
  }

  /** Cites KS-18: counts that others raise meanwhile do not hide that a change was made. */
  @Test
  void verbOfUnknownOutcome_countedOnMeanwhile_isNotDoneTwice() {
    rig.keysets.rotate("orders");
    OpenKeysets other = rig.process();
    Rig.encrypt(meter(other), 7, 1);
    rig.store.afterWrite =
        ScriptedStore.once(
            () -> {
              other.close();
              ScriptedStore.fail();
            });
    Keyset now = rig.keysets.disable("orders", 2);
    assertEquals(KeyState.DISABLED, now.version(2).orElseThrow().state());
    assertEquals(7, now.version(2).orElseThrow().messages());
  }

  /** Cites KS-22. */
  @Test
  void limitReachedByTheFleet_rotatesOnceADayHasPassed() {
    OpenKeysets first = rig.process();
    OpenKeysets second = rig.process();
    Rig.encrypt(meter(first), LIMIT / 2, 1);
    Rig.encrypt(meter(second), LIMIT / 2 - 1, 1);
    rig.runBackground();
    rig.time.advance(Duration.ofDays(1).minusSeconds(1));
    assertEquals(1, second.keysets().rotateIfDue("orders").versions().size());
    rig.time.advance(Duration.ofSeconds(1));
    first.keysets().rotateIfDue("orders");
    assertEquals(1, second.keysets().rotateIfDue("orders").versions().size(), "one is missing");
    Rig.encrypt(meter(second), 1, 1);
    assertEquals(2, second.keysets().rotateIfDue("orders").versions().size());
    assertTrue(stored().messages() >= LIMIT, "reported because it decides");
    rig.time.advance(Duration.ofMinutes(1));
    Keyset rotated = first.keysets().rotateIfDue("orders");
    assertEquals(2, rotated.primary());
    assertFalse(rotated.isRotationDue(rig.time.instant()));
    assertEquals(0, rotated.version(2).orElseThrow().messages());
  }

  /** Cites KS-22: a busy hour must not use up the versions of a keyset. */
  @Test
  void limitReachedOnTheFirstDay_waitsForItsEnd() {
    Rig.encrypt(meter(rig.process), 3 * LIMIT, 1);
    rig.runBackground();
    assertTrue(stored().messages() >= LIMIT);
    rig.time.advance(Duration.ofDays(1).minusSeconds(1));
    assertEquals(1, rig.keysets.rotateIfDue("orders").versions().size());
    rig.time.advance(Duration.ofSeconds(1));
    assertEquals(2, rig.keysets.rotateIfDue("orders").versions().size());
  }

  @Test
  void destroyedKeyset_isNotReported() {
    Rig.encrypt(meter(rig.process), 10, 1);
    rig.process().keysets().scheduleDestruction("orders");
    rig.time.advance(Duration.ofDays(30));
    rig.process().keysets().destroy("orders");
    long revision = rig.store.stored("orders").revision();
    rig.process.close();
    assertEquals(revision, rig.store.stored("orders").revision());
  }

  @Test
  void manyThreadsAndProcesses_countExactly() throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(4);
    try {
      List<OpenKeysets> processes = List.of(rig.process(), rig.process());
      List<Future<?>> done =
          IntStream.range(0, 4)
              .<Future<?>>mapToObj(
                  i ->
                      threads.submit(
                          () -> {
                            for (int k = 0; k < 10; k++) {
                              Rig.encrypt(meter(processes.get(i % 2)), BLOCK / 3, 2);
                              rig.runBackground();
                            }
                          }))
              .toList();
      for (Future<?> each : done) {
        each.get(60, TimeUnit.SECONDS);
      }
      processes.forEach(OpenKeysets::close);
    } finally {
      threads.shutdownNow();
    }
    assertEquals(40L * (BLOCK / 3), stored().messages());
    assertEquals(80L * (BLOCK / 3), stored().bytes());
  }
}
