package dev.sealwax.kms.envelope;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.keyset.KeyState;
import dev.sealwax.kms.keyset.KeyVersion;
import dev.sealwax.kms.keyset.Keyset;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyStateException;
import dev.sealwax.kms.vocabulary.KeyUnavailableException;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/**
 * Traffic while everything that can take a key away happens to it: whatever {@code encrypt} returns
 * opens, here and in another process, and no nonce comes twice under one data key.
 */
class EnvelopeStressTest {
  private static final int THREADS = 32;
  private static final int MESSAGES = 1_000_000;
  private static final int BATCH = 50;
  private static final int KEYSETS = 4;
  private static final VarHandle LONG =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

  private final ExecutorService background = Executors.newFixedThreadPool(2);

  @AfterEach
  void stopBackground() {
    background.shutdownNow();
  }

  /** One message and what became of it. */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  private record Sealed(int keyset, byte[] plaintext, EncryptionContext context, byte[] envelope) {}

  private static String name(int keyset) {
    return "keyset-" + keyset;
  }

  private static CachePolicy tiny(int entries) {
    return CachePolicy.of(Duration.ofMinutes(1), Duration.ofMinutes(2), entries);
  }

  private static void createKeysets(EnvelopeRig rig) {
    for (int i = 0; i < KEYSETS; i++) {
      rig.verbs().create(name(i), KeysetTemplate.defaults());
    }
  }

  /** What one thread did. */
  private static final class Work {
    private final SeenHashes nonces = new SeenHashes();

    /** To be opened when everything is over. */
    private final List<Sealed> owed = new ArrayList<>();

    private int refusedHere;
    private int closed;
  }

  @Test
  void
      traffic_whileKeysAreEvictedRotatedExpiredDiscardedDisabledAndTheKmsIsClosed_everyEnvelopeOpens()
          throws Exception {
    DataKeyPolicy policy =
        DataKeyPolicy.defaults()
            .withEncryptCache(tiny(3))
            .withDecryptCache(tiny(16))
            .withMaxMessages(200)
            .withMaxBytes(6000);
    EnvelopeRig rig = EnvelopeRig.create(policy, tiny(3), background, null);
    createKeysets(rig);
    EnvelopeRig reader = rig.another();
    AtomicBoolean done = new AtomicBoolean();
    List<FutureTask<Void>> trouble = trouble(rig, done);
    CountDownLatch quotas = new CountDownLatch(THREADS);
    AtomicBoolean closing = new AtomicBoolean();
    List<Work> works = new ArrayList<>();
    try (rig;
        reader) {
      try {
        works.addAll(
            Crowd.of(
                THREADS + 1,
                member -> {
                  if (member < THREADS) {
                    return traffic(rig, reader, member, quotas, closing);
                  }
                  quotas.await();
                  TimeUnit.MILLISECONDS.sleep(50);
                  closing.set(true);
                  rig.close();
                  return new Work();
                }));
      } finally {
        done.set(true);
      }
      Crowd.results(trouble); // before what they use is closed
      openAfterwards(reader, works);
    }

    long messages = works.stream().mapToLong(work -> work.nonces.count()).sum();
    assertTrue(messages >= MESSAGES, () -> messages + " messages");
    SeenHashes nonces = new SeenHashes();
    works.forEach(work -> nonces.addAll(work.nonces));
    assertEquals(0, nonces.repeated(), "nonces used twice under one data key");
    int refused = works.stream().mapToInt(work -> work.refusedHere).sum();
    int closed = works.stream().mapToInt(work -> work.closed).sum();
    assertTrue(refused > 100, () -> "only " + refused + " operations met a disabled version");
    assertEquals(THREADS, closed, "threads that met the closed Kms");
    EnvelopeStatistics statistics = rig.ciphers.statistics();
    assertTrue(
        statistics.failures() >= refused && statistics.failures() <= refused + closed,
        () -> refused + " and " + closed + " refused, " + statistics);
    assertEquals(messages, statistics.messagesEncrypted());
    assertTrue(statistics.encryptKeys().evictions() > 1000, statistics::toString);
    assertTrue(statistics.decryptKeys().evictions() > 1000, statistics::toString);
  }

  /**
   * In a process that comes later: what another one was refused while its version was disabled, the
   * last of each thread, and some of all that went before.
   */
  private static void openAfterwards(EnvelopeRig reader, List<Work> works) throws Exception {
    for (int i = 0; i < KEYSETS; i++) {
      for (KeyVersion version : reader.verbs().get(name(i)).versions()) {
        if (version.state() == KeyState.DISABLED) {
          reader.verbs().enable(name(i), version.number());
        }
      }
    }
    try (EnvelopeRig later = reader.another()) {
      Crowd.of(
          works.size(),
          member -> {
            works.get(member).owed.forEach(each -> open(later, each));
            return null;
          });
      assertEquals(0, later.ciphers.statistics().failures());
      assertEquals(
          works.stream().mapToLong(work -> work.owed.size()).sum(),
          later.ciphers.statistics().messagesDecrypted());
    }
  }

  private static Work traffic(
      EnvelopeRig rig, EnvelopeRig reader, int member, CountDownLatch quotas, AtomicBoolean closing)
      throws InterruptedException {
    SplittableRandom random = new SplittableRandom(member);
    Work work = new Work();
    try {
      untilQuota(rig, reader, random, work);
    } finally {
      quotas.countDown(); // else a failure of this one would leave the others waiting
    }
    quotas.await();
    untilClosed(rig, closing, random, work);
    return work;
  }

  private static void untilQuota(
      EnvelopeRig rig, EnvelopeRig reader, SplittableRandom random, Work work)
      throws InterruptedException {
    List<Sealed> before = List.of();
    for (int batch = 0; batch < MESSAGES / THREADS / BATCH; batch++) {
      List<Sealed> batchSealed = new ArrayList<>();
      int keyset = random.nextInt(KEYSETS);
      for (int i = 0; i < BATCH; i++) {
        keyset = i % 10 == 0 ? random.nextInt(KEYSETS) : keyset;
        batchSealed.add(sealedInTheEnd(rig, keyset, random, i == 0 && batch % 4 == 0, work));
      }
      // Half of them at once, half after their keys have had time to go.
      for (int i = 0; i < BATCH; i++) {
        openInTheEnd(
            rig, i % 2 == 0 || before.isEmpty() ? batchSealed.get(i) : before.get(i), work);
      }
      before = batchSealed;
      reader.pass(Duration.ofMillis(101)); // lets it look for versions that it does not know
      for (int i = 0; i < BATCH; i++) {
        if (!openElsewhere(reader, batchSealed.get(i)) || i % 10 == 0) {
          work.owed.add(batchSealed.get(i));
        }
      }
    }
    for (Sealed each : before) {
      openInTheEnd(rig, each, work);
    }
  }

  /** Whatever is returned meanwhile is owed. */
  private static void untilClosed(
      EnvelopeRig rig, AtomicBoolean closing, SplittableRandom random, Work work)
      throws InterruptedException {
    try {
      for (int i = 0; i < 1_000_000; i++) {
        Sealed sealed = sealedInTheEnd(rig, random.nextInt(KEYSETS), random, i % 50 == 0, work);
        work.owed.add(sealed);
        openInTheEnd(rig, sealed, work);
      }
    } catch (IllegalStateException e) {
      assertEquals("the Kms is closed", e.getMessage());
      assertTrue(closing.get(), "said to be closed before");
      work.closed++;
      return;
    }
    throw new AssertionError("traffic was never refused");
  }

  /** Seals as soon as nothing that it needs is disabled. */
  private static Sealed sealedInTheEnd(
      EnvelopeRig rig, int keyset, SplittableRandom random, boolean stream, Work work)
      throws InterruptedException {
    for (int attempt = 0; ; attempt++) {
      try {
        Sealed sealed = sealed(rig, keyset, random, stream);
        addNonce(work.nonces, sealed.envelope());
        return sealed;
      } catch (KeyUnavailableException e) {
        requireDisabled(e, attempt);
        work.refusedHere++;
      }
      TimeUnit.MICROSECONDS.sleep(200);
    }
  }

  /** Opens as soon as its version is not disabled. */
  private static void openInTheEnd(EnvelopeRig rig, Sealed sealed, Work work)
      throws InterruptedException {
    for (int attempt = 0; ; attempt++) {
      try {
        open(rig, sealed);
        return;
      } catch (KeyUnavailableException e) {
        requireDisabled(e, attempt);
        work.refusedHere++;
      }
      TimeUnit.MICROSECONDS.sleep(200);
    }
  }

  private static void requireDisabled(KeyUnavailableException e, int attempt) {
    if (e.reason() != KeyUnavailableException.Reason.DISABLED || attempt == 100_000) {
      throw e;
    }
  }

  private static Sealed sealed(
      EnvelopeRig rig, int keyset, SplittableRandom random, boolean stream) {
    byte[] plaintext = new byte[random.nextInt(16, 65)];
    random.nextBytes(plaintext);
    EncryptionContext context = EncryptionContext.of("row", Integer.toString(random.nextInt(100)));
    EnvelopeCipher cipher = rig.cipher(name(keyset));
    byte[] envelope =
        stream ? streamed(cipher, plaintext, context) : cipher.encrypt(plaintext, context);
    return new Sealed(keyset, plaintext, context, envelope);
  }

  private static byte[] streamed(
      EnvelopeCipher cipher, byte[] plaintext, EncryptionContext context) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try {
      cipher.encrypt(new ByteArrayInputStream(plaintext), out, context);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return out.toByteArray();
  }

  /** Data key and nonce; for the chunked suite the salt, which its nonces come from. */
  private static void addNonce(SeenHashes nonces, byte[] envelope) {
    int body = EnvelopeHeader.NAME_POS + name(0).length() + EnvelopeHeader.AFTER_NAME_LEN;
    long dataKey = (long) LONG.get(envelope, body - EnvelopeHeader.COMMITMENT_LEN);
    nonces.add(dataKey, envelope, body, envelope[EnvelopeHeader.SUITE_POS] == 1 ? 12 : 24);
  }

  private static void open(EnvelopeRig rig, Sealed sealed) {
    assertArrayEquals(
        sealed.plaintext(),
        rig.cipher(name(sealed.keyset())).decrypt(sealed.envelope(), sealed.context()));
  }

  /**
   * Opens in a process that learns of new versions as late as its pauses allow; false if it has
   * heard that the version is disabled.
   */
  private static boolean openElsewhere(EnvelopeRig reader, Sealed sealed) {
    for (int attempt = 0; ; attempt++) {
      try {
        open(reader, sealed);
        return true;
      } catch (KeyUnavailableException e) {
        if (e.reason() == KeyUnavailableException.Reason.DISABLED) {
          return false;
        }
        if (e.reason() != KeyUnavailableException.Reason.UNKNOWN_VERSION || attempt == 20) {
          throw e;
        }
        reader.pass(Duration.ofMillis(101));
      }
    }
  }

  private List<FutureTask<Void>> trouble(EnvelopeRig rig, AtomicBoolean done) {
    SplittableRandom random = new SplittableRandom(42);
    AtomicInteger rotations = new AtomicInteger();
    List<Runnable> kinds =
        List.of(
            () -> {
              String keyset = name(rotations.getAndIncrement() % KEYSETS);
              Keyset now = rig.verbs().get(keyset);
              if (now.versions().size() < 40) {
                rig.verbs().rotate(keyset);
              }
            },
            () -> {
              String keyset = name(random.nextInt(KEYSETS));
              int back = random.nextInt(1, rig.verbs().get(keyset).versions().size() + 1);
              if (rig.verbs().get(keyset).primary() != back) {
                promoteUnlessDisabled(rig, keyset, back);
              }
            },
            () -> {
              String keyset = name(random.nextInt(KEYSETS));
              Keyset now = rig.verbs().get(keyset);
              // Every second time the kill switch: nothing is encrypted until it is enabled again.
              int version =
                  random.nextBoolean()
                      ? now.primary()
                      : random.nextInt(1, now.versions().size() + 1);
              rig.verbs().disable(keyset, version);
              rig.verbs().enable(keyset, version);
            },
            rig.ciphers::discardDataKeys,
            () -> rig.pass(Duration.ofSeconds(61)),
            () -> rig.pass(Duration.ofSeconds(121)));
    List<FutureTask<Void>> tasks = new ArrayList<>();
    for (int i = 0; i < kinds.size(); i++) {
      Runnable kind = kinds.get(i);
      long pause = i < 3 ? 20 : 4 + i;
      FutureTask<Void> task =
          new FutureTask<>(
              () -> {
                while (!done.get()) {
                  try {
                    kind.run();
                  } catch (IllegalStateException e) {
                    assertEquals("the Kms is closed", e.getMessage());
                    return null;
                  }
                  TimeUnit.MILLISECONDS.sleep(pause);
                }
                return null;
              });
      tasks.add(task);
      Thread thread = new Thread(task, "trouble-" + i);
      thread.setDaemon(true);
      thread.start();
    }
    return tasks;
  }

  private static void promoteUnlessDisabled(EnvelopeRig rig, String keyset, int version) {
    try {
      rig.verbs().promote(keyset, version);
    } catch (KeyStateException e) {
      // Disabled at this moment.
    }
  }

  @Test
  void close_inTheMiddleOfTraffic_whatWasReturnedOpensAndTheRestSaysClosed() throws Exception {
    DataKeyPolicy policy =
        DataKeyPolicy.defaults()
            .withEncryptCache(tiny(2))
            .withDecryptCache(tiny(2))
            .withMaxMessages(50);
    EnvelopeRig writer = EnvelopeRig.create();
    createKeysets(writer);
    int opened = 0;
    for (int round = 0; round < 60; round++) {
      EnvelopeRig closing = writer.another(policy);
      CountDownLatch busy = new CountDownLatch(4);
      CountDownLatch closed = new CountDownLatch(1);
      long wait = 200_000L * round;
      List<List<Sealed>> sealed =
          Crowd.of(
              9,
              member -> {
                if (member == 8) {
                  busy.await();
                  TimeUnit.NANOSECONDS.sleep(wait);
                  closing.close();
                  closed.countDown();
                  return List.of();
                }
                return untilClosed(closing, busy, closed, member);
              });
      for (Sealed each : sealed.stream().flatMap(List::stream).toList()) {
        open(writer, each);
        opened++;
      }
    }
    assertTrue(opened > 10_000, "only " + opened + " messages before the closing");
  }

  private static List<Sealed> untilClosed(
      EnvelopeRig rig, CountDownLatch busy, CountDownLatch closed, int member)
      throws InterruptedException {
    SplittableRandom random = new SplittableRandom(member);
    List<Sealed> sealed = new ArrayList<>();
    try {
      for (int i = 0; i < 200_000; i++) {
        Sealed next = sealed(rig, random.nextInt(KEYSETS), random, i % 50 == 0);
        sealed.add(next);
        busy.countDown();
        open(rig, next);
      }
    } catch (IllegalStateException e) {
      assertEquals("the Kms is closed", e.getMessage());
      closed.await();
      IntStream.range(0, KEYSETS).forEach(keyset -> requireClosed(rig, keyset));
      return sealed;
    }
    throw new AssertionError("traffic was never refused");
  }

  private static void requireClosed(EnvelopeRig rig, int keyset) {
    try {
      rig.cipher(name(keyset)).encrypt(new byte[16], EncryptionContext.empty());
    } catch (IllegalStateException e) {
      return;
    }
    throw new AssertionError("an operation after close succeeded");
  }
}
