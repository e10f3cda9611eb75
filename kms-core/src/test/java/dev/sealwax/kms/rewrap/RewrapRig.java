package dev.sealwax.kms.rewrap;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.rootkey.RootKeyId;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.store.InMemoryKeysetStore;
import dev.sealwax.kms.store.KeysetStore;
import dev.sealwax.kms.store.StoredKeyset;
import dev.sealwax.kms.testkit.FaultyRootKey;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/** A {@code Kms} in memory with the keysets {@code orders} and {@code customers}. */
final class RewrapRig implements AutoCloseable {
  static final String ORDERS = "orders";
  static final String CUSTOMERS = "customers";

  final FaultyRootKey root = FaultyRootKey.around(rootKey());
  final KeysetStore store = InMemoryKeysetStore.create();
  final Kms kms = builder().build();

  private RewrapRig() {}

  static RewrapRig create() {
    RewrapRig rig = new RewrapRig();
    rig.kms.keysets().create(ORDERS, KeysetTemplate.defaults());
    rig.kms.keysets().create(CUSTOMERS, KeysetTemplate.defaults());
    return rig;
  }

  private static RootKey rootKey() {
    try {
      Path file = Files.createTempDirectory("sealwax-rewrap").resolve("root.key");
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

  private Kms.Builder builder() {
    return Kms.builder().rootKey(new LentRootKey(root)).store(new LentStore(store));
  }

  /** A process that starts now, with the same root key and store and nothing in memory. */
  Kms another() {
    return builder().build();
  }

  /** A process that asks the root key each time. */
  Kms withoutCache() {
    return builder().strict().build();
  }

  /** A process whose clock is {@code ahead}, to destroy what is not due. */
  Kms later(Duration ahead) {
    return builder().clock(Clock.offset(Clock.systemUTC(), ahead)).build();
  }

  /** A root key that outlives those who borrow it. */
  private record LentRootKey(RootKey root) implements RootKey {
    @Override
    public RootKeyId currentKeyId() {
      return root.currentKeyId();
    }

    @Override
    public WrappedKey wrap(KeyMaterial key, EncryptionContext context) {
      return root.wrap(key, context);
    }

    @Override
    public KeyMaterial unwrap(WrappedKey wrapped, EncryptionContext context) {
      return root.unwrap(wrapped, context);
    }

    @Override
    public void close() {
      // the rig's
    }
  }

  /** A store that outlives those who borrow it. */
  private record LentStore(KeysetStore store) implements KeysetStore {
    @Override
    public Optional<StoredKeyset> load(KeysetId id) {
      return store.load(id);
    }

    @Override
    public void create(StoredKeyset first) {
      store.create(first);
    }

    @Override
    public void replace(StoredKeyset next) {
      store.replace(next);
    }

    @Override
    public List<KeysetId> list(int limit) {
      return store.list(limit);
    }

    @Override
    public List<KeysetId> listAfter(KeysetId after, int limit) {
      return store.listAfter(after, limit);
    }

    @Override
    public void close() {
      // the rig's
    }
  }

  EnvelopeCipher orders() {
    return kms.envelopeCipher(ORDERS);
  }

  byte[] sealed(String id) {
    return sealed(ORDERS, id);
  }

  /** An envelope of the message {@code id}, in the context of that id. */
  byte[] sealed(String keyset, String id) {
    return kms.envelopeCipher(keyset)
        .encrypt(id.getBytes(StandardCharsets.UTF_8), EncryptionContext.of("id", id));
  }

  /** What {@link #sealed} made must open to. */
  boolean opens(String id, byte[] envelope) {
    byte[] opened = orders().decrypt(envelope, EncryptionContext.of("id", id));
    return new String(opened, StandardCharsets.UTF_8).equals(id);
  }

  @Override
  public void close() {
    kms.close();
    root.close();
  }
}
