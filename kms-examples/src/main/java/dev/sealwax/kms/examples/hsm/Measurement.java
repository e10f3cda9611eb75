package dev.sealwax.kms.examples.hsm;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.KmsStatistics;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.examples.Samples;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.store.FileKeysetStore;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Supplier;

/**
 * What messages took, half of them encrypted and half of them decrypted.
 *
 * @param p50 microseconds of a message, as are the other percentiles
 * @param perSecond messages of all threads together
 * @param callsPerMillion calls of the root key for a million messages, the first one included
 */
record Measurement(double p50, double p95, double p99, double perSecond, double callsPerMillion) {
  private static final String KEYSET = "orders";
  private static final EncryptionContext ROW = EncryptionContext.of("table", "orders", "row", "42");

  /** Measures with a new keyset under that root key, after half as long a time to get warm. */
  static Measurement of(
      Supplier<? extends RootKey> root, Path keysets, Caching caching, CostOptions options) {
    Kms.Builder creator = Kms.builder().rootKey(root.get()).store(FileKeysetStore.at(keysets));
    try (Kms kms = creator.build()) {
      kms.keysets().create(KEYSET, KeysetTemplate.defaults());
    }
    // Another one, which knows no key yet.
    Kms.Builder user = Kms.builder().rootKey(root.get()).store(FileKeysetStore.at(keysets));
    try (Kms kms = caching.configure(user).build()) {
      EnvelopeCipher cipher = kms.envelopeCipher(KEYSET);
      Duration warmUp = options.measured().dividedBy(2);
      long messages = run(cipher, options, warmUp).size();
      long start = System.nanoTime();
      Samples samples = run(cipher, options, options.measured());
      double seconds = (System.nanoTime() - start) / 1e9;
      messages += samples.size();
      KmsStatistics statistics = kms.statistics();
      double calls = statistics.rootUnwraps() + statistics.rootWraps();
      return new Measurement(
          samples.micros(0.50),
          samples.micros(0.95),
          samples.micros(0.99),
          samples.size() / seconds,
          calls * 1e6 / messages);
    }
  }

  private static Samples run(EnvelopeCipher cipher, CostOptions options, Duration time) {
    ExecutorService threads = Executors.newFixedThreadPool(options.threads());
    try {
      List<Future<Samples>> results = new ArrayList<>();
      for (int i = 0; i < options.threads(); i++) {
        results.add(threads.submit(() -> loop(cipher, options.messageBytes(), time)));
      }
      Samples all = new Samples();
      for (Future<Samples> result : results) {
        all.addAll(result.get());
      }
      return all;
    } catch (ExecutionException e) {
      throw new IllegalStateException("a message failed", e.getCause());
    } catch (InterruptedException e) {
      throw new IllegalStateException("interrupted", e);
    } finally {
      threads.shutdownNow();
    }
  }

  private static Samples loop(EnvelopeCipher cipher, int messageBytes, Duration time) {
    byte[] plaintext = new byte[messageBytes];
    Samples samples = new Samples();
    long end = System.nanoTime() + time.toNanos();
    long now = System.nanoTime();
    while (now < end) {
      byte[] sealed = cipher.encrypt(plaintext, ROW);
      long between = System.nanoTime();
      samples.add(between - now);
      cipher.decrypt(sealed, ROW);
      now = System.nanoTime();
      samples.add(now - between);
    }
    return samples;
  }
}
