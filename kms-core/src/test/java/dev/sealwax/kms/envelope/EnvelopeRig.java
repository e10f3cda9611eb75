package dev.sealwax.kms.envelope;

import dev.sealwax.kms.cache.TestTimer;
import dev.sealwax.kms.keyset.Background;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.keyset.Keysets;
import dev.sealwax.kms.keyset.ManualTime;
import dev.sealwax.kms.keyset.OpenKeysets;
import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.rootkey.TestRootKeys;
import dev.sealwax.kms.store.InMemoryKeysetStore;
import dev.sealwax.kms.store.KeysetStore;
import dev.sealwax.kms.store.StoredKeyset;
import dev.sealwax.kms.testkit.FaultyRootKey;
import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KmsListener;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.concurrent.Executor;
import org.jspecify.annotations.Nullable;

/**
 * A real root key, an in-memory store and the ciphers over them, with a clock that moves when told
 * and renewals that run when told.
 */
final class EnvelopeRig implements AutoCloseable {
  static final String NAME = "orders";
  static final CachePolicy LONG = CachePolicy.of(Duration.ofHours(1), Duration.ofHours(2), 10_000);

  final ManualTime time = new ManualTime();
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
      @Nullable KmsListener listener,
      SecureRandom random) {
    this.root = root;
    this.store = store;
    Background background =
        new Background(time, refresher, refresher, task -> {}, TestTimer.SHARED);
    this.keysets =
        OpenKeysets.open(
            store, root, keyVersions, Duration.ofDays(1), time, background, random, listener);
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
    return create(policy, keyVersions, refresher, listener, new SecureRandom());
  }

  static EnvelopeRig create(
      DataKeyPolicy policy,
      CachePolicy keyVersions,
      Executor refresher,
      @Nullable KmsListener listener,
      SecureRandom random) {
    EnvelopeRig rig =
        new EnvelopeRig(
            FaultyRootKey.around(TestRootKeys.inMemory()),
            InMemoryKeysetStore.create(),
            policy,
            keyVersions,
            refresher,
            listener,
            random);
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
        /* listener= */ null,
        new SecureRandom());
  }

  /** A second process over the same store and root key, with nothing cached. */
  EnvelopeRig another() {
    return another(DataKeyPolicy.defaults());
  }

  EnvelopeRig another(DataKeyPolicy policy) {
    return new EnvelopeRig(
        FaultyRootKey.around(root), store, policy, LONG, Runnable::run, null, new SecureRandom());
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

  void pass(Duration by) {
    time.advance(by);
  }

  @Override
  public void close() {
    ciphers.close();
    keysets.close();
  }
}
