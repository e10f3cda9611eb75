package dev.sealwax.kms.envelope;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.ACCESS_DENIED;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.DISABLED;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNAVAILABLE;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.testkit.FaultyRootKey.Fault;
import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.RootKeyException;
import dev.sealwax.kms.vocabulary.RootKeyException.Reason;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A root key that denies a key version, or is disabled, beats every cache once it has said so. */
final class DenialTest {
  private static final EncryptionContext CONTEXT = EncryptionContext.of("row", "1");
  private static final byte[] MESSAGE = {1, 2, 3};
  private static final Duration SOFT = Duration.ofHours(1);
  private static final Duration PAUSE = Duration.ofMillis(100);

  private final Queue<Runnable> background = new ArrayDeque<>();
  private final SlowRandom random = new SlowRandom();

  // Data keys that outlast this test, so that only the denial ends them.
  private final EnvelopeRig rig =
      EnvelopeRig.create(
          DataKeyPolicy.defaults()
              .withEncryptCache(CachePolicy.of(SOFT.multipliedBy(9), SOFT.multipliedBy(9), 100))
              .withDecryptCache(CachePolicy.of(SOFT.multipliedBy(9), SOFT.multipliedBy(9), 100)),
          CachePolicy.of(SOFT, SOFT.multipliedBy(2), 100),
          background::add,
          null,
          random);
  private final byte[] sealed = rig.cipher().encrypt(MESSAGE, CONTEXT);
  private final byte[] unmet = unmetEnvelope();

  /** Lets the making of a data key wait. */
  private static final class SlowRandom extends SecureRandom {
    private static final long serialVersionUID = 1L;

    private transient volatile @Nullable CountDownLatch asked;
    private final transient CountDownLatch release = new CountDownLatch(1);

    @Override
    public void nextBytes(byte[] bytes) {
      CountDownLatch now = asked;
      if (now != null) {
        now.countDown();
        try {
          release.await();
        } catch (InterruptedException e) {
          throw new AssertionError(e);
        }
      }
      super.nextBytes(bytes);
    }
  }

  /** Of another process, so that its data key has to be unwrapped. */
  private byte[] unmetEnvelope() {
    try (EnvelopeRig other = rig.another()) {
      return other.cipher().encrypt(MESSAGE, CONTEXT);
    }
  }

  @AfterEach
  void close() {
    rig.close();
  }

  private void runBackground() {
    for (Runnable task = background.poll(); task != null; task = background.poll()) {
      task.run();
    }
  }

  private void always(Fault fault) {
    rig.root.always(fault);
    rig.pass(PAUSE);
  }

  private void open(byte[] envelope) {
    assertArrayEquals(MESSAGE, rig.cipher().decrypt(envelope, CONTEXT));
  }

  private static void assertFails(Reason reason, Executable call) {
    assertEquals(reason, assertThrows(RootKeyException.class, call).reason());
  }

  private void assertEverythingFails(Reason reason) {
    assertFails(reason, () -> rig.cipher().encrypt(MESSAGE, CONTEXT));
    assertFails(reason, () -> open(sealed));
    assertFails(reason, () -> open(unmet));
    assertFails(reason, () -> rig.cipher().rewrap(sealed));
    assertFails(reason, () -> rig.cipher().reencrypt(sealed, CONTEXT));
  }

  private void assertEverythingWorks() {
    rig.cipher().encrypt(MESSAGE, CONTEXT);
    open(sealed);
    open(unmet);
    rig.cipher().rewrap(sealed);
    rig.cipher().reencrypt(sealed, CONTEXT);
  }

  /** Lets the root key answer so to the renewal of the key version. */
  private void renewalMeets(Fault fault) {
    rig.pass(SOFT.plusMinutes(1));
    always(fault);
    open(unmet); // unwraps a data key, and begins the renewal
    assertEquals(1, background.size());
    runBackground();
  }

  @ParameterizedTest
  @EnumSource(
      value = Reason.class,
      names = {"ACCESS_DENIED", "DISABLED"})
  void denialOfARenewal_isObeyedAtOnceAndUntilTheRootKeyAllowsItAgain(Reason reason) {
    renewalMeets(Fault.failing(reason));
    assertEquals(0, rig.keysets.keyVersionStatistics().entries());
    assertEverythingFails(reason);
    rig.pass(PAUSE);
    assertEverythingFails(reason);
    always(Fault.NONE);
    assertEverythingWorks();
    assertEquals(1, rig.keysets.keyVersionStatistics().entries());
  }

  @ParameterizedTest
  @EnumSource(
      value = Reason.class,
      names = {"ACCESS_DENIED", "DISABLED"},
      mode = EnumSource.Mode.EXCLUDE)
  void anyOtherFailureOfARenewal_hurtsNobodyBeforeTheHardLimit(Reason reason) {
    renewalMeets(Fault.failing(reason));
    assertEverythingWorks();
    runBackground();
    assertEverythingWorks();
  }

  /** A data key whose making began before the denial serves nobody after it. */
  @Test
  void denialWhileADataKeyIsMade_isObeyedByThoseWhoWaitForIt() throws Exception {
    CountDownLatch asked = new CountDownLatch(1);
    rig.ciphers.discardDataKeys();
    random.asked = asked;
    ExecutorService threads = Executors.newCachedThreadPool();
    try {
      CompletableFuture<byte[]> maker =
          CompletableFuture.supplyAsync(() -> rig.cipher().encrypt(MESSAGE, CONTEXT), threads);
      asked.await();
      renewalMeets(Fault.failing(ACCESS_DENIED));
      AtomicReference<Thread> waiter = new AtomicReference<>();
      CompletableFuture<byte[]> waiting =
          CompletableFuture.supplyAsync(
              () -> {
                waiter.set(Thread.currentThread());
                return rig.cipher().encrypt(MESSAGE, CONTEXT);
              },
              threads);
      while (waiter.get() == null || waiter.get().getState() != Thread.State.WAITING) {
        Thread.sleep(1);
      }
      random.release.countDown();
      for (CompletableFuture<byte[]> each : List.of(maker, waiting)) {
        CompletionException failure = assertThrows(CompletionException.class, each::join);
        assertEquals(ACCESS_DENIED, ((RootKeyException) failure.getCause()).reason());
      }
    } finally {
      random.release.countDown();
      threads.shutdown();
    }
  }

  @Test
  void denialWhileTheNewVersionOfARewrapIsUnwrapped_isObeyed() throws Exception {
    rig.verbs().rotate(EnvelopeRig.NAME);
    rig.pass(SOFT.multipliedBy(3));
    open(unmet); // the first version is in memory now, and the second is not
    rig.pass(SOFT.plusMinutes(1));
    CountDownLatch release = new CountDownLatch(1);
    rig.root.next(Fault.hanging(release), Fault.failing(ACCESS_DENIED));
    ExecutorService threads = Executors.newCachedThreadPool();
    try {
      CompletableFuture<byte[]> rewrap =
          CompletableFuture.supplyAsync(() -> rig.cipher().rewrap(sealed), threads);
      while (rig.root.underWay() == 0) {
        Thread.sleep(1);
      }
      runBackground(); // the renewal of the first version
      release.countDown();
      CompletionException failure = assertThrows(CompletionException.class, rewrap::join);
      assertEquals(ACCESS_DENIED, ((RootKeyException) failure.getCause()).reason());
    } finally {
      release.countDown();
      threads.shutdown();
    }
  }

  @Test
  void outageAfterADenial_doesNotHideIt() {
    renewalMeets(Fault.failing(ACCESS_DENIED));
    always(Fault.failing(UNAVAILABLE));
    assertEverythingFails(UNAVAILABLE);
  }

  @Test
  void denialWhenTheKeyVersionIsGone_endsDataKeysToo() {
    rig.pass(SOFT.multipliedBy(3));
    always(Fault.failing(DISABLED));
    open(sealed);
    assertFails(DISABLED, () -> open(unmet));
    assertEverythingFails(DISABLED);
  }

  @Test
  void denial_endsKeysAtHand() {
    rig.pass(SOFT.multipliedBy(3));
    always(Fault.failing(DISABLED));
    for (int i = 0; i < 3; i++) {
      rig.cipher().encrypt(MESSAGE, CONTEXT);
      open(sealed);
    }
    assertFails(DISABLED, () -> open(unmet));
    assertFails(DISABLED, () -> rig.cipher().encrypt(MESSAGE, CONTEXT));
    assertFails(DISABLED, () -> open(sealed));
  }

  @Test
  void denialOfOneVersion_endsNoOther() {
    rig.verbs().rotate(EnvelopeRig.NAME);
    rig.verbs().create("other", KeysetTemplate.defaults());
    byte[] others = rig.cipher("other").encrypt(MESSAGE, CONTEXT);
    byte[] second = rig.cipher().encrypt(MESSAGE, CONTEXT);
    rig.pass(SOFT.plusMinutes(1));
    rig.root.next(Fault.failing(ACCESS_DENIED));
    open(unmet);
    runBackground();
    int before = rig.root.unwraps();
    assertFails(ACCESS_DENIED, () -> open(sealed));
    open(second);
    rig.cipher().encrypt(MESSAGE, CONTEXT);
    assertArrayEquals(MESSAGE, rig.cipher("other").decrypt(others, CONTEXT));
    assertEquals(before, rig.root.unwraps());
  }

  @Test
  void denialThatLasts_isAskedForOncePerPause() throws Exception {
    renewalMeets(Fault.failing(ACCESS_DENIED));
    ExecutorService threads = Executors.newFixedThreadPool(16);
    try {
      for (int pauses = 0; pauses < 5; pauses++) {
        rig.pass(PAUSE);
        int before = rig.root.unwraps();
        List<CompletableFuture<Void>> calls = new ArrayList<>();
        for (int i = 0; i < 64; i++) {
          byte[] envelope = i % 2 == 0 ? sealed : unmet;
          calls.add(
              CompletableFuture.runAsync(
                  () -> assertFails(ACCESS_DENIED, () -> open(envelope)), threads));
        }
        calls.forEach(CompletableFuture::join);
        assertEquals(before + 1, rig.root.unwraps());
      }
    } finally {
      threads.shutdown();
    }
  }

  @Test
  void denialThatComesAndGoes_costsNoMoreThanOneCallEach() {
    for (int i = 0; i < 20; i++) {
      int before = rig.root.unwraps();
      renewalMeets(Fault.failing(ACCESS_DENIED));
      assertEquals(before + 1, rig.root.unwraps());
      always(Fault.NONE);
      assertEverythingWorks();
      assertEverythingWorks();
      assertEquals(before + 2, rig.root.unwraps());
      rig.ciphers.discardDataKeys(); // so that the next renewal begins as the first
    }
  }
}
