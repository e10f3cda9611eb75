package dev.sealwax.kms.envelope;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.store.InMemoryKeysetStore;
import dev.sealwax.kms.testkit.FaultyRootKey.Fault;
import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyUnavailableException;
import dev.sealwax.kms.vocabulary.KeyUnavailableException.Reason;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.time.ZoneOffset;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The kill switch: once a verb has returned, no operation that starts afterwards succeeds. */
@Timeout(120)
class RevocationTest {
  private static final String NAME = EnvelopeRig.NAME;
  private static final EncryptionContext CONTEXT = EncryptionContext.empty();
  private static final byte[] MESSAGE = new byte[32];

  private final ExecutorService background = Executors.newCachedThreadPool();

  @AfterEach
  void stopBackground() {
    background.shutdownNow();
  }

  enum Verb {
    DISABLE {
      @Override
      void revoke(EnvelopeRig rig) {
        rig.verbs().disable(NAME, 1);
      }

      @Override
      void allow(EnvelopeRig rig) {
        rig.verbs().enable(NAME, 1);
      }
    },
    SCHEDULE_DESTRUCTION {
      @Override
      void revoke(EnvelopeRig rig) {
        rig.verbs().scheduleDestruction(NAME);
      }

      @Override
      void allow(EnvelopeRig rig) {
        rig.verbs().cancelDestruction(NAME);
        rig.verbs().enable(NAME, 1);
      }
    };

    abstract void revoke(EnvelopeRig rig);

    abstract void allow(EnvelopeRig rig);
  }

  @ParameterizedTest
  @EnumSource(Verb.class)
  void revoke_whileManyThreadsHammer_nothingThatStartsAfterwardsSucceeds(Verb verb)
      throws Exception {
    int rounds = 100;
    // Phases count up: even ones allow, odd ones have been revoked.
    AtomicInteger phase = new AtomicInteger();
    AtomicInteger refusals = new AtomicInteger();
    // Small budget and cache, so that the threads are found everywhere: hits, loads, retired keys.
    DataKeyPolicy policy = DataKeyPolicy.defaults().withMaxMessages(20);
    try (EnvelopeRig rig = EnvelopeRig.create(policy)) {
      byte[] envelope = rig.cipher().encrypt(MESSAGE, CONTEXT);
      Crowd.of(
          9,
          member -> {
            if (member == 8) {
              for (int round = 0; round < rounds; round++) {
                LockSupport.parkNanos(500_000);
                verb.revoke(rig);
                phase.incrementAndGet();
                LockSupport.parkNanos(500_000);
                phase.incrementAndGet();
                verb.allow(rig);
              }
              return phase.incrementAndGet();
            }
            hammer(rig, envelope, member, phase, 2 * rounds, refusals);
            return 0;
          });
    }
    assertTrue(refusals.get() > rounds, () -> "only " + refusals + " refusals");
  }

  private static void hammer(
      EnvelopeRig rig,
      byte[] envelope,
      int member,
      AtomicInteger phase,
      int last,
      AtomicInteger refusals) {
    while (true) {
      int before = phase.get();
      if (before >= last) {
        return;
      }
      try {
        if (member % 2 == 0) {
          rig.cipher().encrypt(MESSAGE, CONTEXT);
        } else {
          rig.cipher().decrypt(envelope, CONTEXT);
        }
      } catch (KeyUnavailableException e) {
        refusals.incrementAndGet();
        continue;
      }
      int after = phase.get();
      assertTrue(
          before % 2 == 0 || after > before,
          () -> "an operation began and ended within revoked phase " + before);
    }
  }

  /** A process that has read the keyset and unwrapped version 2, but never version 1. */
  private static EnvelopeRig knowingOnlyVersion2(EnvelopeRig writer) {
    EnvelopeRig fresh = writer.another();
    byte[] underTwo = writer.cipher().encrypt(MESSAGE, CONTEXT);
    fresh.cipher().decrypt(underTwo, CONTEXT);
    assertEquals(1, fresh.root.unwraps());
    return fresh;
  }

  @Test
  void disable_whileTheKeyIsBeingLoaded_theLoadLeavesNothingBehind() throws Exception {
    try (EnvelopeRig writer = EnvelopeRig.create()) {
      byte[] envelope = writer.cipher().encrypt(MESSAGE, CONTEXT);
      writer.verbs().rotate(NAME);
      EnvelopeRig fresh = knowingOnlyVersion2(writer);
      CountDownLatch release = new CountDownLatch(1);
      fresh.root.always(Fault.hanging(release));
      Future<byte[]> loading = background.submit(() -> fresh.cipher().decrypt(envelope, CONTEXT));
      waitFor(() -> fresh.root.unwraps() == 2);

      fresh.verbs().disable(NAME, 1);
      assertRefused(fresh, envelope);
      release.countDown();
      // It began before the verb, so either end is right.
      try {
        assertArrayEquals(MESSAGE, loading.get(30, TimeUnit.SECONDS));
      } catch (java.util.concurrent.ExecutionException e) {
        assertEquals(KeyUnavailableException.class, e.getCause().getClass());
      }
      for (int i = 0; i < 100; i++) {
        assertRefused(fresh, envelope);
      }
      fresh.root.always(Fault.NONE);
      fresh.ciphers.discardDataKeys();
      fresh.verbs().enable(NAME, 1);
      int before = fresh.root.unwraps();
      assertArrayEquals(MESSAGE, fresh.cipher().decrypt(envelope, CONTEXT));
      assertEquals(before + 1, fresh.root.unwraps(), "the revoked key was still in memory");
      fresh.close();
    }
  }

  @Test
  void disable_whileTheKeyIsBeingRenewed_theRenewalDoesNotBringItBack() throws Exception {
    EnvelopeRig rig =
        EnvelopeRig.create(
            DataKeyPolicy.defaults().withMaxMessages(1).withDecryptCache(CachePolicy.none()),
            EnvelopeRig.LONG,
            background,
            null);
    try (rig) {
      byte[] envelope = rig.cipher().encrypt(MESSAGE, CONTEXT);
      CountDownLatch release = new CountDownLatch(1);
      rig.root.always(Fault.hanging(release));
      int before = rig.root.unwraps();
      rig.pass(EnvelopeRig.LONG.softTtl());
      assertArrayEquals(MESSAGE, rig.cipher().decrypt(envelope, CONTEXT));
      waitFor(() -> rig.root.unwraps() == before + 1);

      rig.verbs().disable(NAME, 1);
      release.countDown();
      for (int i = 0; i < 100; i++) {
        assertRefused(rig, envelope);
      }
      waitFor(() -> rig.keysets.rootUnwraps() == before + 1);
      background.shutdown();
      assertTrue(background.awaitTermination(30, TimeUnit.SECONDS));
      assertRefused(rig, envelope);
      rig.root.always(Fault.NONE);
      rig.verbs().enable(NAME, 1);
      assertArrayEquals(MESSAGE, rig.cipher().decrypt(envelope, CONTEXT));
      assertEquals(before + 2, rig.root.unwraps(), "the revoked key was still in memory");
    }
  }

  private static void assertRefused(EnvelopeRig rig, byte[] envelope) {
    KeyUnavailableException refusal =
        assertThrows(KeyUnavailableException.class, () -> rig.cipher().decrypt(envelope, CONTEXT));
    assertEquals(Reason.DISABLED, refusal.reason());
  }

  /** The wall clock moves, and no cache grows old by it: all that is cached stays so. */
  @Test
  void destroy_whileDataKeysAreCached_refusesThemAndAllOthersAsDestroyed() {
    AtomicReference<Instant> now = new AtomicReference<>(Instant.parse("2030-01-01T00:00:00Z"));
    InstantSource wallClock = now::get;
    Duration window = KeysetTemplate.defaults().destructionWindow();
    try (EnvelopeRig roots = EnvelopeRig.create()) {
      InMemoryKeysetStore store = InMemoryKeysetStore.create();
      Kms operator =
          Kms.builder()
              .rootKey(roots.root)
              .store(store)
              .clock(wallClock.withZone(ZoneOffset.UTC))
              .build();
      Kms other = Kms.builder().rootKey(roots.root).store(store).build();
      try (other;
          operator) {
        operator.keysets().create("audited", KeysetTemplate.defaults());
        EnvelopeCipher cipher = operator.envelopeCipher("audited");
        byte[] sealed = cipher.encrypt(MESSAGE, CONTEXT);
        byte[] opened = openedTwice(operator, other);
        other.discardDataKeys();
        byte[] uncached = other.envelopeCipher("audited").encrypt(MESSAGE, CONTEXT);
        operator.keysets().rotate("audited");
        byte[] current = cipher.encrypt(MESSAGE, CONTEXT);

        operator.keysets().scheduleDestruction("audited", 1);
        now.set(now.get().plus(window));
        operator.keysets().destroy("audited", 1);

        for (byte[] envelope : List.of(sealed, opened, uncached)) {
          assertDestroyed(() -> cipher.decrypt(envelope, CONTEXT));
          assertDestroyed(() -> cipher.rewrap(envelope));
          assertDestroyed(() -> cipher.reencrypt(envelope, CONTEXT));
        }
        assertArrayEquals(MESSAGE, cipher.decrypt(current, CONTEXT));

        operator.keysets().scheduleDestruction("audited");
        now.set(now.get().plus(window));
        operator.keysets().destroy("audited");
        assertDestroyed(() -> cipher.decrypt(current, CONTEXT));
        assertDestroyed(() -> cipher.encrypt(MESSAGE, CONTEXT));
      }
    }
  }

  /** An envelope of another process, whose data key is in the cache by now. */
  private static byte[] openedTwice(Kms operator, Kms other) {
    byte[] envelope = other.envelopeCipher("audited").encrypt(MESSAGE, CONTEXT);
    EnvelopeCipher cipher = operator.envelopeCipher("audited");
    cipher.decrypt(envelope, CONTEXT);
    long hits = operator.statistics().envelopes().decryptKeys().hits();
    cipher.decrypt(envelope, CONTEXT);
    assertEquals(hits + 1, operator.statistics().envelopes().decryptKeys().hits());
    return envelope;
  }

  private static void assertDestroyed(Executable use) {
    assertEquals(Reason.DESTROYED, assertThrows(KeyUnavailableException.class, use).reason());
  }

  private interface Condition {
    boolean holds();
  }

  private static void waitFor(Condition condition) throws InterruptedException {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    while (!condition.holds()) {
      assertTrue(System.nanoTime() < end, "waited in vain");
      TimeUnit.MILLISECONDS.sleep(1);
    }
  }

  @Test
  void disable_isSeenByAnotherProcessInUse_withinASecond() throws Exception {
    try (EnvelopeRig roots = EnvelopeRig.create()) {
      InMemoryKeysetStore store = InMemoryKeysetStore.create();
      Kms operator = Kms.builder().rootKey(roots.root).store(store).build();
      Kms other =
          Kms.builder()
              .rootKey(roots.root)
              .store(store)
              .refreshInterval(Duration.ofMillis(50))
              .build();
      try (other;
          operator) {
        operator.keysets().create("audited", KeysetTemplate.defaults());
        EnvelopeCipher cipher = other.envelopeCipher("audited");
        byte[] envelope = cipher.encrypt(MESSAGE, CONTEXT);

        operator.keysets().disable("audited", 1);
        long disabled = System.nanoTime();

        for (Runnable use :
            List.<Runnable>of(
                () -> cipher.encrypt(MESSAGE, CONTEXT), () -> cipher.decrypt(envelope, CONTEXT))) {
          untilRefused(use, disabled + TimeUnit.SECONDS.toNanos(1));
        }
      }
    }
  }

  private static void untilRefused(Runnable use, long deadline) throws InterruptedException {
    while (true) {
      long began = System.nanoTime();
      try {
        use.run();
      } catch (KeyUnavailableException e) {
        assertEquals(Reason.DISABLED, e.reason());
        return;
      }
      assertTrue(began - deadline < 0, "still allowed a second after it was disabled");
      TimeUnit.MILLISECONDS.sleep(1);
    }
  }
}
