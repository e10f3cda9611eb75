package dev.sealwax.kms.tink;

import com.google.crypto.tink.Aead;
import com.google.crypto.tink.KeysetHandle;
import com.google.crypto.tink.aead.AeadConfig2026;
import com.google.crypto.tink.aead.PredefinedAeadParameters;
import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.store.InMemoryKeysetStore;
import dev.sealwax.kms.testkit.FaultyRootKey;
import dev.sealwax.kms.testkit.ForwardingKeysetStore;
import dev.sealwax.kms.testkit.ForwardingRootKey;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.KmsException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.function.Executable;

/** A keyset {@value #NAME}, its root key, and a key-encryption key of Tink's to move away from. */
final class TinkRig implements AutoCloseable {
  static final String NAME = "orders";

  /** Something that may throw what Tink throws. */
  interface Call {
    void run() throws GeneralSecurityException;
  }

  /** A key of Tink that counts its decryptions. */
  static final class CountingAead implements Aead {
    private final Aead target;
    private final AtomicInteger decryptions = new AtomicInteger();

    private CountingAead(Aead target) {
      this.target = target;
    }

    int decryptions() {
      return decryptions.get();
    }

    @Override
    public byte[] encrypt(byte[] plaintext, byte[] associatedData) throws GeneralSecurityException {
      return target.encrypt(plaintext, associatedData);
    }

    @Override
    public byte[] decrypt(byte[] ciphertext, byte[] associatedData)
        throws GeneralSecurityException {
      decryptions.incrementAndGet();
      return target.decrypt(ciphertext, associatedData);
    }
  }

  final CountingAead oldKek = newKek();
  final FaultyRootKey rootKey;
  private final InMemoryKeysetStore store = InMemoryKeysetStore.create();
  final Kms kms;
  final EnvelopeCipher cipher;

  TinkRig() {
    rootKey = FaultyRootKey.around(newRootKey());
    kms = Kms.builder().rootKey(rootKey).store(store).build();
    kms.keysets().create(NAME, KeysetTemplate.defaults());
    cipher = kms.envelopeCipher(NAME);
  }

  /** As another process: nothing is in its memory. Leaves root key and store open. */
  Kms another() {
    return Kms.builder()
        .rootKey(
            new ForwardingRootKey(rootKey) {
              @Override
              public void close() {}
            })
        .store(
            new ForwardingKeysetStore(store) {
              @Override
              public void close() {}
            })
        .build();
  }

  static CountingAead newKek() {
    try {
      return new CountingAead(
          KeysetHandle.generateNew(PredefinedAeadParameters.AES256_GCM, AeadConfig2026.get())
              .getPrimitive(AeadConfig2026.get(), Aead.class));
    } catch (GeneralSecurityException e) {
      throw new AssertionError(e);
    }
  }

  private static LocalRootKey newRootKey() {
    try {
      Path directory = Files.createTempDirectory("sealwax-tink");
      Path file = directory.resolve("root.key");
      try (KeyMaterial sealingKey =
          KeyMaterial.owning(
              new byte[] {
                1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
                17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32
              })) {
        return LocalRootKey.create(file, sealingKey);
      } finally {
        Files.deleteIfExists(file);
        Files.deleteIfExists(directory);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** What the failure of a call is about, by Tink's contract or by ours. */
  static KmsException failureOf(Call call) {
    Throwable thrown = thrownBy(call::run);
    if (thrown instanceof GeneralSecurityException
        && thrown.getCause() instanceof KmsException cause) {
      return cause;
    }
    if (thrown instanceof KmsException failure) {
      return failure;
    }
    throw new AssertionError("not a failure of ours", thrown);
  }

  static Throwable thrownBy(Executable call) {
    try {
      call.execute();
    } catch (Throwable e) {
      return e;
    }
    throw new AssertionError("nothing was thrown");
  }

  @Override
  public void close() {
    kms.close();
  }
}
