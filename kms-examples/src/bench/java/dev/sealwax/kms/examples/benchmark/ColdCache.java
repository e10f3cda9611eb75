package dev.sealwax.kms.examples.benchmark;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.rootkey.RootKeyId;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.store.InMemoryKeysetStore;
import dev.sealwax.kms.store.KeysetStore;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A thousand threads that decrypt under one key version at once, none of which is cached: calls to
 * the root key.
 */
final class ColdCache {
  private static final int THREADS = 1000;
  private static final long ROOT_KEY_DELAY_MILLIS = 20;

  private ColdCache() {}

  static String table(ChildJvm jvm) throws Exception {
    Figures figures = jvm.repeat(ColdCache.class);
    return Figures.format(
        """
        | %d threads, first decrypts at once | root unwraps | all done after, ms |
        |---|---|---|
        | Sealwax, root key answering in %d ms | %.0f | %.0f |
        """,
        THREADS, ROOT_KEY_DELAY_MILLIS, figures.of("unwraps"), figures.of("millis"));
  }

  public static void main(String[] arguments) throws Exception {
    KeysetStore store = InMemoryKeysetStore.create();
    CountingRootKey root = new CountingRootKey(Sealwax.rootKey(Path.of(arguments[1])));
    try (Kms warm = Kms.builder().rootKey(root).store(store).build();
        Kms cold = Kms.builder().rootKey(root).store(store).build()) {
      warm.keysets().create(Sealwax.KEYSET, KeysetTemplate.defaults());
      byte[] sealed = warm.envelopeCipher(Sealwax.KEYSET).encrypt(new byte[1024], Column.CONTEXT);
      root.unwraps.set(0);
      Figures.report("millis", decryptAtOnce(cold.envelopeCipher(Sealwax.KEYSET), sealed));
      Figures.report("unwraps", root.unwraps.get());
    }
  }

  private static double decryptAtOnce(EnvelopeCipher cipher, byte[] sealed) throws Exception {
    CountDownLatch ready = new CountDownLatch(THREADS);
    CountDownLatch go = new CountDownLatch(1);
    ExecutorService threads = Executors.newFixedThreadPool(THREADS);
    try {
      List<Future<byte[]>> opened = new ArrayList<>();
      for (int i = 0; i < THREADS; i++) {
        opened.add(
            threads.submit(
                () -> {
                  ready.countDown();
                  go.await();
                  return cipher.decrypt(sealed, Column.CONTEXT);
                }));
      }
      ready.await();
      long start = System.nanoTime();
      go.countDown();
      for (Future<byte[]> message : opened) {
        message.get();
      }
      return (System.nanoTime() - start) / 1e6;
    } finally {
      threads.shutdown();
    }
  }

  /** Counts unwraps, and takes as long for each as a key service in the network does. */
  private static final class CountingRootKey implements RootKey {
    private final RootKey delegate;
    private final AtomicInteger unwraps = new AtomicInteger();

    private CountingRootKey(RootKey delegate) {
      this.delegate = delegate;
    }

    @Override
    public RootKeyId currentKeyId() {
      return delegate.currentKeyId();
    }

    @Override
    public WrappedKey wrap(KeyMaterial key, EncryptionContext context) {
      return delegate.wrap(key, context);
    }

    @Override
    public KeyMaterial unwrap(WrappedKey wrapped, EncryptionContext context) {
      unwraps.incrementAndGet();
      try {
        Thread.sleep(ROOT_KEY_DELAY_MILLIS);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
      return delegate.unwrap(wrapped, context);
    }

    @Override
    public void close() {
      delegate.close();
    }
  }
}
