package dev.sealwax.kms.testkit;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.THROTTLED;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNAVAILABLE;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.testkit.FaultyRootKey.Fault;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Tests that lean on this decorator are worth what it is worth. */
@Timeout(30)
final class FaultyRootKeyTest {
  private static final EncryptionContext CONTEXT = EncryptionContext.empty();

  @TempDir Path directory;
  private KeyMaterial key;
  private FaultyRootKey faulty;

  @BeforeEach
  void open() {
    key = KeyMaterial.copyOf(new byte[32]);
    faulty = FaultyRootKey.around(LocalRootKey.create(directory.resolve("root.key"), key));
  }

  @AfterEach
  void close() {
    faulty.close();
    key.close();
  }

  @Test
  void calls_takeTheScriptInOrderThenTheStandingFault() {
    IllegalStateException odd = new IllegalStateException("odd");
    faulty.next(Fault.failing(THROTTLED), Fault.NONE, Fault.throwing(odd));
    assertEquals(THROTTLED, assertThrows(RootKeyException.class, this::wrap).reason());
    WrappedKey wrapped = wrap();
    assertSame(odd, assertThrows(IllegalStateException.class, () -> unwrap(wrapped)));
    faulty.always(Fault.failing(UNAVAILABLE));
    assertEquals(UNAVAILABLE, assertThrows(RootKeyException.class, this::wrap).reason());
    faulty.always(Fault.NONE);
    assertTrue(unwrap(wrapped).contentEquals(key));
    assertEquals(3, faulty.wraps());
    assertEquals(2, faulty.unwraps());
  }

  @Test
  void answeringWrongly_givesAnotherSecretAndWhatNeverOpens() {
    WrappedKey wrapped = wrap();
    faulty.next(Fault.answeringWrongly(), Fault.answeringWrongly());
    KeyMaterial wrong = unwrap(wrapped);
    assertEquals(32, wrong.lengthBytes());
    assertFalse(wrong.contentEquals(key));
    WrappedKey broken = wrap();
    assertThrows(RootKeyException.class, () -> unwrap(broken));
  }

  @Test
  void hanging_waitsForItsRelease() {
    CountDownLatch release = new CountDownLatch(1);
    faulty.next(Fault.hanging(release));
    CompletableFuture<WrappedKey> call = CompletableFuture.supplyAsync(this::wrap);
    while (faulty.wraps() == 0) {
      Thread.onSpinWait();
    }
    assertFalse(call.isDone());
    release.countDown();
    assertTrue(unwrap(call.join()).contentEquals(key));
  }

  @Test
  void delaying_takesAtLeastThatLong() {
    faulty.next(Fault.delaying(Duration.ofMillis(20)));
    long start = System.nanoTime();
    wrap();
    assertTrue(System.nanoTime() - start >= Duration.ofMillis(20).toNanos());
  }

  @Test
  void delaying_whenInterrupted_fails() {
    faulty.next(Fault.delaying(Duration.ofDays(1)));
    Thread.currentThread().interrupt();
    assertEquals(UNAVAILABLE, assertThrows(RootKeyException.class, this::wrap).reason());
    assertTrue(Thread.interrupted());
  }

  @Test
  void hangingDeaf_outlastsAnInterrupt() throws InterruptedException {
    CountDownLatch release = new CountDownLatch(1);
    faulty.next(Fault.hangingDeaf(release));
    Thread caller = new Thread(this::wrap);
    caller.start();
    while (faulty.underWay() == 0) {
      Thread.onSpinWait();
    }
    caller.interrupt();
    caller.join(20);
    assertTrue(caller.isAlive());
    release.countDown();
    caller.join();
    assertEquals(0, faulty.underWay());
    assertEquals(1, faulty.mostAtOnce());
  }

  @Test
  void answeringWith_takesOneKeyForAnother() {
    WrappedKey wrapped = wrap();
    try (KeyMaterial other = KeyMaterial.copyOf(new byte[] {7})) {
      faulty.next(Fault.answeringWith(other), Fault.answeringWith(other));
      assertTrue(unwrap(wrapped).contentEquals(other));
      assertTrue(unwrap(wrap()).contentEquals(other));
    }
    assertTrue(unwrap(wrapped).contentEquals(key));
  }

  @Test
  void throttling_letsSoManyThroughInAnyPeriod() {
    AtomicLong now = new AtomicLong(Long.MAX_VALUE - 10);
    Fault quota = Fault.throttling(2, Duration.ofNanos(100), now::get);
    faulty.always(quota);
    List<Boolean> let = new ArrayList<>();
    for (int at : new int[] {0, 60, 0, 39, 1, 59, 1}) {
      now.addAndGet(at);
      let.add(succeeds());
    }
    assertEquals(List.of(true, true, false, false, true, false, true), let);
  }

  @Test
  void throttling_sharedByRootKeys_countsTheCallsOfAll() {
    Fault quota = Fault.throttling(1, Duration.ofDays(1));
    faulty.always(quota);
    try (FaultyRootKey second =
        FaultyRootKey.around(LocalRootKey.create(directory.resolve("second.key"), key))) {
      second.always(quota);
      wrap();
      assertEquals(
          THROTTLED,
          assertThrows(RootKeyException.class, () -> second.wrap(key, CONTEXT)).reason());
    }
  }

  @Test
  void flapping_goesWellAndBadlyInTurns() {
    faulty.always(Fault.flapping(2, 1, Fault.failing(UNAVAILABLE)));
    List<Boolean> went = Stream.generate(this::succeeds).limit(6).toList();
    assertEquals(List.of(true, true, false, true, true, false), went);
  }

  @Test
  void randomly_isTheSameForASeedAndAboutTheShareAskedFor() {
    Fault[] kinds = {Fault.failing(UNAVAILABLE), Fault.failing(THROTTLED)};
    faulty.always(Fault.randomly(42, 30, kinds));
    List<Boolean> first = Stream.generate(this::succeeds).limit(400).toList();
    faulty.always(Fault.randomly(42, 30, kinds));
    assertEquals(first, Stream.generate(this::succeeds).limit(400).toList());
    faulty.always(Fault.randomly(43, 30, kinds));
    assertNotEquals(first, Stream.generate(this::succeeds).limit(400).toList());
    long failed = first.stream().filter(went -> !went).count();
    assertTrue(failed > 80 && failed < 160, failed + " of 400 failed");
  }

  @Test
  void after_ofAFaultThatChooses_choosesEachTime() {
    faulty.always(Fault.flapping(1, 1, Fault.failing(UNAVAILABLE)).after(Duration.ofMillis(1)));
    List<Boolean> went = Stream.generate(this::succeeds).limit(4).toList();
    assertEquals(List.of(true, false, true, false), went);
  }

  @Test
  void close_isCounted() {
    faulty.close();
    assertEquals(1, faulty.closes());
  }

  private boolean succeeds() {
    try {
      wrap();
      return true;
    } catch (RootKeyException e) {
      return false;
    }
  }

  private WrappedKey wrap() {
    return faulty.wrap(key, CONTEXT);
  }

  private KeyMaterial unwrap(WrappedKey wrapped) {
    return faulty.unwrap(wrapped, CONTEXT);
  }
}
