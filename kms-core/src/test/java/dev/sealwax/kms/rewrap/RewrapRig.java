package dev.sealwax.kms.rewrap;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.rootkey.TestRootKeys;
import dev.sealwax.kms.store.InMemoryKeysetStore;
import dev.sealwax.kms.store.KeysetStore;
import dev.sealwax.kms.testkit.FaultyRootKey;
import dev.sealwax.kms.testkit.ForwardingKeysetStore;
import dev.sealwax.kms.testkit.ForwardingRootKey;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;

/** A {@code Kms} in memory with the keysets {@code orders} and {@code customers}. */
final class RewrapRig implements AutoCloseable {
  static final String ORDERS = "orders";
  static final String CUSTOMERS = "customers";

  final FaultyRootKey root = FaultyRootKey.around(TestRootKeys.inMemory());
  final KeysetStore store = InMemoryKeysetStore.create();
  final Kms kms = builder().build();

  private RewrapRig() {}

  static RewrapRig create() {
    RewrapRig rig = new RewrapRig();
    rig.kms.keysets().create(ORDERS, KeysetTemplate.defaults());
    rig.kms.keysets().create(CUSTOMERS, KeysetTemplate.defaults());
    return rig;
  }

  private Kms.Builder builder() {
    // Both outlive those who borrow them.
    return Kms.builder()
        .rootKey(
            new ForwardingRootKey(root) {
              @Override
              public void close() {}
            })
        .store(
            new ForwardingKeysetStore(store) {
              @Override
              public void close() {}
            });
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
