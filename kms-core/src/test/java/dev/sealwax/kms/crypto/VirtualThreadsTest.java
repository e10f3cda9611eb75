package dev.sealwax.kms.crypto;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.envelope.EnvelopeInfo;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.store.InMemoryKeysetStore;
import dev.sealwax.kms.testkit.FaultyRootKey;
import dev.sealwax.kms.testkit.FaultyRootKey.Fault;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Very many light threads at one key: none starves, none has a cipher of its own. */
@Timeout(120)
class VirtualThreadsTest {
  private static final int TASKS = LightThreads.MANY;
  private static final EncryptionContext CONTEXT = EncryptionContext.of("table", "orders");

  @TempDir Path directory;

  private RootKey root() {
    try (KeyMaterial sealingKey = KeyMaterial.random(new SecureRandom(), 32)) {
      return LocalRootKey.create(directory.resolve("root.key"), sealingKey);
    }
  }

  private static void join(List<Thread> threads) throws InterruptedException {
    for (Thread thread : threads) {
      thread.join();
    }
  }

  @Test
  void encrypt_manyThreads_oneDataKeyAndFewCiphers() throws Exception {
    Queue<byte[]> envelopes = new ConcurrentLinkedQueue<>();
    try (Kms kms = Kms.builder().rootKey(root()).store(InMemoryKeysetStore.create()).build()) {
      kms.keysets().create("orders", KeysetTemplate.defaults());
      EnvelopeCipher cipher = kms.envelopeCipher("orders");
      CountDownLatch start = new CountDownLatch(1);
      List<Thread> threads = new ArrayList<>();
      for (int i = 0; i < TASKS; i++) {
        threads.add(
            LightThreads.start(
                () -> {
                  await(start);
                  envelopes.add(cipher.encrypt(new byte[64], CONTEXT));
                }));
      }
      start.countDown();
      join(threads);

      assertEquals(TASKS, envelopes.size());
      Set<String> dataKeys = new HashSet<>();
      Set<Integer> ciphers = new HashSet<>();
      Set<ByteBuffer> nonces = new HashSet<>();
      for (byte[] envelope : envelopes) {
        EnvelopeInfo info = EnvelopeInfo.inspect(envelope);
        dataKeys.add(info.dataKeyId());
        ByteBuffer nonce = ByteBuffer.wrap(envelope, info.headerLengthBytes(), 12).slice();
        nonces.add(nonce);
        ciphers.add(nonce.getInt(0));
        assertArrayEquals(new byte[64], cipher.decrypt(envelope, CONTEXT));
      }
      assertEquals(1, dataKeys.size());
      assertEquals(TASKS, nonces.size());
      // The fixed field of a nonce numbers the cipher. Virtual threads run on as many carriers as
      // there are processors; platform threads may be interrupted anywhere and crowd more.
      int most =
          16
              + (LightThreads.areVirtual()
                  ? 4 * Runtime.getRuntime().availableProcessors()
                  : TASKS / 10);
      assertTrue(ciphers.size() <= most, () -> ciphers.size() + " ciphers made");
    }
  }

  /**
   * While threads wait for the root key, others must go on: a thread that waits and keeps its
   * carrier would stop them, because there are more waiting than carriers.
   */
  @Test
  void waitingForTheRootKey_doesNotStopOthers() throws Exception {
    FaultyRootKey root = FaultyRootKey.around(root());
    try (Kms kms = Kms.builder().rootKey(root).store(InMemoryKeysetStore.create()).build()) {
      kms.keysets().create("busy", KeysetTemplate.defaults());
      int waiting = 4 * Runtime.getRuntime().availableProcessors() + 8;
      for (int i = 0; i < waiting; i++) {
        kms.keysets().create("cold-" + i, KeysetTemplate.defaults());
      }
      EnvelopeCipher busy = kms.envelopeCipher("busy");
      busy.encrypt(new byte[64], CONTEXT);
      CountDownLatch release = new CountDownLatch(1);
      root.always(Fault.hanging(release));
      List<Thread> stuck = new ArrayList<>();
      Queue<byte[]> afterwards = new ConcurrentLinkedQueue<>();
      for (int i = 0; i < waiting; i++) {
        String name = "cold-" + i % 4;
        stuck.add(
            LightThreads.start(
                () -> {
                  kms.keysets().rotate(name);
                  afterwards.add(kms.envelopeCipher(name).encrypt(new byte[64], CONTEXT));
                }));
      }
      while (root.wraps() < waiting + 1 + 4) {
        Thread.sleep(1);
      }

      List<Thread> others = new ArrayList<>();
      Queue<byte[]> sealed = new ConcurrentLinkedQueue<>();
      for (int i = 0; i < 100; i++) {
        others.add(LightThreads.start(() -> sealed.add(busy.encrypt(new byte[64], CONTEXT))));
      }
      join(others);
      assertEquals(100, sealed.size());

      root.always(Fault.NONE);
      release.countDown();
      join(stuck);
      assertEquals(waiting, afterwards.size());
    }
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }
}
