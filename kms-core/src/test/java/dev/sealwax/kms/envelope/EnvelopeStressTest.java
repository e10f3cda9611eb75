package dev.sealwax.kms.envelope;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.keyset.Keyset;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.EncryptionContext;
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

  @Test
  void traffic_whileKeysAreEvictedRotatedExpiredAndDiscarded_everyEnvelopeOpens() throws Exception {
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
    SeenHashes nonces = new SeenHashes();
    try (rig;
        reader) {
      try {
        Crowd.of(THREADS, member -> traffic(rig, reader, member)).forEach(nonces::addAll);
      } finally {
        done.set(true);
      }
      Crowd.results(trouble); // before what they use is closed
    }

    assertTrue(nonces.count() >= MESSAGES, () -> nonces.count() + " messages");
    assertEquals(0, nonces.repeated(), "nonces used twice under one data key");
    EnvelopeStatistics statistics = rig.ciphers.statistics();
    assertEquals(0, statistics.failures());
    assertEquals(nonces.count(), statistics.messagesEncrypted());
    assertTrue(statistics.encryptKeys().evictions() > 1000, statistics::toString);
    assertTrue(statistics.decryptKeys().evictions() > 1000, statistics::toString);
  }

  private SeenHashes traffic(EnvelopeRig rig, EnvelopeRig reader, int member) {
    SplittableRandom random = new SplittableRandom(member);
    SeenHashes nonces = new SeenHashes();
    List<Sealed> before = List.of();
    for (int batch = 0; batch < MESSAGES / THREADS / BATCH; batch++) {
      List<Sealed> batchSealed = new ArrayList<>();
      int keyset = random.nextInt(KEYSETS);
      for (int i = 0; i < BATCH; i++) {
        keyset = i % 10 == 0 ? random.nextInt(KEYSETS) : keyset;
        Sealed sealed = sealed(rig, keyset, random, i == 0 && batch % 4 == 0);
        batchSealed.add(sealed);
        addNonce(nonces, sealed.envelope());
      }
      // Half of them at once, half after their keys have had time to go.
      for (int i = 0; i < BATCH; i++) {
        open(rig, i % 2 == 0 || before.isEmpty() ? batchSealed.get(i) : before.get(i));
      }
      before = batchSealed;
      reader.pass(Duration.ofMillis(101)); // lets it look for versions that it does not know
      batchSealed.forEach(each -> openElsewhere(reader, each));
    }
    before.forEach(each -> open(rig, each));
    return nonces;
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

  /** Opens in a process that learns of new versions as late as its pauses allow. */
  private static void openElsewhere(EnvelopeRig reader, Sealed sealed) {
    for (int attempt = 0; ; attempt++) {
      try {
        open(reader, sealed);
        return;
      } catch (KeyUnavailableException e) {
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
                rig.verbs().promote(keyset, back);
              }
            },
            rig.ciphers::discardDataKeys,
            () -> rig.pass(Duration.ofSeconds(61)),
            () -> rig.pass(Duration.ofSeconds(121)));
    List<FutureTask<Void>> tasks = new ArrayList<>();
    for (int i = 0; i < kinds.size(); i++) {
      Runnable kind = kinds.get(i);
      long pause = i < 2 ? 20 : 5 + i;
      FutureTask<Void> task =
          new FutureTask<>(
              () -> {
                while (!done.get()) {
                  kind.run();
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
