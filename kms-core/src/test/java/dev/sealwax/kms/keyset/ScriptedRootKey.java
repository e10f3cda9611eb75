package dev.sealwax.kms.keyset;

import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.rootkey.RootKeyId;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.RootKeyException;
import dev.sealwax.kms.vocabulary.RootKeyException.Reason;
import java.security.GeneralSecurityException;
import java.security.SecureRandom;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicInteger;
import javax.crypto.AEADBadTagException;
import javax.crypto.Cipher;
import javax.crypto.SecretKey;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.SecretKeySpec;

/** An AES-GCM root key that counts its calls and does what a test tells it to do before them. */
final class ScriptedRootKey implements RootKey {
  final AtomicInteger wraps = new AtomicInteger();
  final AtomicInteger unwraps = new AtomicInteger();
  volatile Runnable beforeUnwrap = () -> {};
  private final RootKeyId id;
  private final SecretKey key;
  private final SecureRandom random = new SecureRandom();

  ScriptedRootKey(String id) {
    this.id = RootKeyId.of(id);
    byte[] bytes = new byte[32];
    random.nextBytes(bytes);
    this.key = new SecretKeySpec(bytes, "AES");
  }

  static void fail() {
    throw new RootKeyException(Reason.UNAVAILABLE, "scripted");
  }

  @Override
  public RootKeyId currentKeyId() {
    return id;
  }

  @Override
  public WrappedKey wrap(KeyMaterial secret, EncryptionContext context) {
    wraps.incrementAndGet();
    byte[] nonce = new byte[12];
    random.nextBytes(nonce);
    try {
      Cipher cipher = cipher(Cipher.ENCRYPT_MODE, nonce, context);
      byte[] sealed = secret.use(bytes -> finish(cipher, bytes));
      byte[] out = Arrays.copyOf(nonce, nonce.length + sealed.length);
      System.arraycopy(sealed, 0, out, nonce.length, sealed.length);
      return WrappedKey.of(id, out);
    } catch (GeneralSecurityException e) {
      throw new AssertionError(e);
    }
  }

  private static byte[] finish(Cipher cipher, byte[] bytes) {
    try {
      return cipher.doFinal(bytes);
    } catch (GeneralSecurityException e) {
      throw new AssertionError(e);
    }
  }

  @Override
  public KeyMaterial unwrap(WrappedKey wrapped, EncryptionContext context) {
    unwraps.incrementAndGet();
    beforeUnwrap.run();
    if (!wrapped.rootKeyId().equals(id)) {
      throw new RootKeyException(Reason.NOT_FOUND, "not wrapped by " + id);
    }
    byte[] in = wrapped.ciphertext();
    if (in.length < 28) {
      throw new RootKeyException(Reason.INVALID_CIPHERTEXT, "too short");
    }
    try {
      Cipher cipher = cipher(Cipher.DECRYPT_MODE, Arrays.copyOf(in, 12), context);
      return KeyMaterial.owning(cipher.doFinal(in, 12, in.length - 12));
    } catch (AEADBadTagException e) {
      throw new RootKeyException(Reason.INVALID_CIPHERTEXT, "not authentic", e);
    } catch (GeneralSecurityException e) {
      throw new AssertionError(e);
    }
  }

  private Cipher cipher(int mode, byte[] nonce, EncryptionContext context)
      throws GeneralSecurityException {
    Cipher cipher = Cipher.getInstance("AES/GCM/NoPadding");
    cipher.init(mode, key, new GCMParameterSpec(128, nonce));
    cipher.updateAAD(context.toCanonicalBytes());
    return cipher;
  }

  @Override
  public void close() {}
}
