package dev.sealwax.kms.envelope;

import dev.sealwax.kms.keyset.Background;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.keyset.Keysets;
import dev.sealwax.kms.keyset.OpenKeysets;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.store.InMemoryKeysetStore;
import dev.sealwax.kms.store.KeysetStore;
import dev.sealwax.kms.store.StoredKeyset;
import dev.sealwax.kms.testkit.FaultyRootKey;
import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KmsListener;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * A real root key, an in-memory store and the ciphers over them, with a clock that moves when told
 * and renewals that run when told.
 */
final class EnvelopeRig implements AutoCloseable {
  static final String NAME = "orders";
  static final CachePolicy LONG = CachePolicy.of(Duration.ofHours(1), Duration.ofHours(2), 10_000);

  final AtomicLong nanos = new AtomicLong(1);
  final FaultyRootKey root;
  final KeysetStore store;
  final OpenKeysets keysets;
  final EnvelopeCiphers ciphers;

  private EnvelopeRig(
      FaultyRootKey root,
      KeysetStore store,
      DataKeyPolicy policy,
      CachePolicy keyVersions,
      Executor refresher,
      @Nullable KmsListener listener) {
    this.root = root;
    this.store = store;
    SecureRandom random = new SecureRandom();
    Background background = new Background(nanos::get, refresher, refresher, task -> {});
    this.keysets =
        OpenKeysets.open(
            store,
            root,
            keyVersions,
            Duration.ofDays(1),
            new RigClock(nanos),
            background,
            random,
            listener);
    this.ciphers = new EnvelopeCiphers(keysets, policy, background, random, listener);
  }

  static EnvelopeRig create() {
    return create(DataKeyPolicy.defaults());
  }

  static EnvelopeRig create(DataKeyPolicy policy) {
    return create(policy, LONG, Runnable::run, null);
  }

  static EnvelopeRig create(
      DataKeyPolicy policy,
      CachePolicy keyVersions,
      Executor refresher,
      @Nullable KmsListener listener) {
    EnvelopeRig rig =
        new EnvelopeRig(
            FaultyRootKey.around(rootKey()),
            InMemoryKeysetStore.create(),
            policy,
            keyVersions,
            refresher,
            listener);
    rig.verbs().create(NAME, KeysetTemplate.defaults());
    return rig;
  }

  /** A process over a keyset that is there already. */
  static EnvelopeRig over(RootKey root, StoredKeyset keyset) {
    KeysetStore store = InMemoryKeysetStore.create();
    store.create(keyset);
    return new EnvelopeRig(
        FaultyRootKey.around(root),
        store,
        DataKeyPolicy.defaults(),
        LONG,
        Runnable::run,
        /* listener= */ null);
  }

  /** A second process over the same store and root key, with nothing cached. */
  EnvelopeRig another() {
    return another(DataKeyPolicy.defaults());
  }

  EnvelopeRig another(DataKeyPolicy policy) {
    return new EnvelopeRig(FaultyRootKey.around(root), store, policy, LONG, Runnable::run, null);
  }

  static RootKey rootKey() {
    try {
      Path file = Files.createTempDirectory("sealwax-rig").resolve("root.key");
      try (KeyMaterial sealingKey = KeyMaterial.random(new SecureRandom(), 32)) {
        return LocalRootKey.create(file, sealingKey);
      } finally {
        Files.delete(file);
        Files.delete(file.getParent());
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  Keysets verbs() {
    return keysets.keysets();
  }

  EnvelopeCipher cipher() {
    return cipher(NAME);
  }

  EnvelopeCipher cipher(String name) {
    return ciphers.cipher(KeysetId.of(name));
  }

  void pass(Duration time) {
    nanos.addAndGet(time.toNanos());
  }

  @Override
  public void close() {
    ciphers.close();
    keysets.close();
  }

  /** Moves with the monotonic clock. */
  private static final class RigClock extends Clock {
    private static final Instant START = Instant.parse("2030-01-01T00:00:00Z");
    private final AtomicLong nanos;

    RigClock(AtomicLong nanos) {
      this.nanos = nanos;
    }

    @Override
    public Instant instant() {
      return START.plusNanos(nanos.get());
    }

    @Override
    public ZoneId getZone() {
      return ZoneOffset.UTC;
    }

    @Override
    public Clock withZone(ZoneId zone) {
      throw new UnsupportedOperationException();
    }
  }
}
