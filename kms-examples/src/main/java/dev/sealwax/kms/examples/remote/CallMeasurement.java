package dev.sealwax.kms.examples.remote;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.DataKeyPolicy;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.store.FileKeysetStore;
import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/**
 * Calls of the root key as one process makes them, counted.
 *
 * @param firstSecond in the first second of a process that starts with nothing in memory
 * @param sample by the whole sample
 * @param keysetsMet keysets that the sample was about
 * @param dataKeys made for the sample, none of which is a call
 * @param perRenewal for each key version in use and soft time to live
 * @param perUncachedMessage for each message if nothing is kept
 */
record CallMeasurement(
    long firstSecond,
    long sample,
    int keysetsMet,
    long dataKeys,
    double perRenewal,
    double perUncachedMessage) {
  private static final int UNCACHED_MESSAGES = 2000;
  private static final int UNCACHED_KEYSETS = 10; // each is authenticated once, by one more call
  private static final int RENEWED_KEYSETS = 100;
  private static final Duration SHORT_TTL = Duration.ofSeconds(1);
  private static final int SHORT_TTLS = 3;
  private static final EncryptionContext ROW = EncryptionContext.of("row", "42");
  private static final byte[] MESSAGE = new byte[256];

  /** Keysets in a directory, and an envelope of each. */
  private static final class Keysets {
    private final Path directory;
    private final FaultSwitch calls = new FaultSwitch();
    private final List<byte[]> envelopes = new ArrayList<>();

    private Keysets(Path directory, int count) {
      this.directory = directory;
      LocalRootKey.create(directory.resolve("root.key"), RemoteExample.sealingKey()).close();
      try (Kms kms = open().build()) {
        for (int i = 0; i < count; i++) {
          kms.keysets().create(name(i), KeysetTemplate.defaults());
          envelopes.add(kms.envelopeCipher(name(i)).encrypt(MESSAGE, ROW));
        }
      }
    }

    private static String name(int number) {
      return "keyset-" + number;
    }

    private Kms.Builder open() {
      return Kms.builder()
          .rootKey(
              calls.over(
                  LocalRootKey.open(directory.resolve("root.key"), RemoteExample.sealingKey())))
          .store(FileKeysetStore.at(directory.resolve("keysets")));
    }

    /** Encrypts, or decrypts, one message in a keyset. */
    private void message(Kms kms, int keyset, boolean encrypts) {
      EnvelopeCipher cipher = kms.envelopeCipher(name(keyset));
      if (encrypts) {
        cipher.encrypt(MESSAGE, ROW);
      } else {
        cipher.decrypt(envelopes.get(keyset), ROW);
      }
    }
  }

  /** Measures, with keysets made in {@code directory}. */
  static CallMeasurement of(CallOptions options, Path directory) throws InterruptedException {
    Keysets keysets = new Keysets(directory, options.keysets());
    Random random = new Random(42); // the same traffic in every run
    boolean[] met = new boolean[options.keysets()];
    long before = keysets.calls.calls();
    long firstSecond = 0;
    long dataKeys;
    try (Kms kms =
        keysets.open().keyVersions(options.keyVersions()).dataKeys(options.dataKeys()).build()) {
      for (int i = 1; i <= options.sample(); i++) {
        int keyset = random.nextInt(options.keysets());
        met[keyset] = true;
        keysets.message(kms, keyset, i % 2 == 0);
        if (i == options.firstSecond()) {
          firstSecond = keysets.calls.calls() - before;
        }
      }
      dataKeys = kms.statistics().envelopes().encryptKeys().loads();
    }
    int keysetsMet = 0;
    for (boolean one : met) {
      keysetsMet += one ? 1 : 0;
    }
    return new CallMeasurement(
        firstSecond,
        keysets.calls.calls() - before,
        keysetsMet,
        dataKeys,
        perRenewal(keysets, options),
        perUncachedMessage(keysets, options));
  }

  /** With a time to live so short that several pass, and a data key for each message. */
  private static double perRenewal(Keysets keysets, CallOptions options)
      throws InterruptedException {
    int count = Math.min(options.keysets(), RENEWED_KEYSETS);
    CachePolicy policy = CachePolicy.of(SHORT_TTL, SHORT_TTL.multipliedBy(2), count);
    try (Kms kms = keysets.open().keyVersions(policy).dataKeys(DataKeyPolicy.singleUse()).build()) {
      for (int i = 0; i < count; i++) {
        keysets.message(kms, i, true);
      }
      long before = keysets.calls.calls();
      long start = System.nanoTime();
      long end = start + SHORT_TTL.multipliedBy(SHORT_TTLS).toNanos();
      while (System.nanoTime() < end) {
        for (int i = 0; i < count; i++) {
          keysets.message(kms, i, true);
        }
        Thread.sleep(1);
      }
      double ttls = (double) (System.nanoTime() - start) / SHORT_TTL.toNanos();
      return (keysets.calls.calls() - before) / (count * ttls);
    }
  }

  private static double perUncachedMessage(Keysets keysets, CallOptions options) {
    int uncached = Math.min(options.keysets(), UNCACHED_KEYSETS);
    long before = keysets.calls.calls();
    try (Kms kms = keysets.open().strict().build()) {
      for (int i = 0; i < UNCACHED_MESSAGES; i++) {
        keysets.message(kms, i % uncached, i % 2 == 0);
      }
    }
    return (double) (keysets.calls.calls() - before) / UNCACHED_MESSAGES;
  }
}
