package dev.sealwax.kms.examples.benchmark;

import java.security.GeneralSecurityException;
import java.security.SecureRandom;
import javax.crypto.Cipher;
import javax.crypto.SecretKey;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.SecretKeySpec;

/**
 * The baseline: AES-256-GCM as fast as the JCE gives it to careful hand-written code, with one
 * cipher per thread and random nonces drawn 128 at a time. Output: nonce, ciphertext, tag. No
 * header, no key management.
 */
final class RawColumn implements Column {
  static final int NONCE_BYTES = 12;
  static final int TAG_BYTES = 16;
  private static final int NONCES_PER_DRAW = 128;
  private static final SecureRandom RANDOM = new SecureRandom();

  private final String name;
  private final SecretKey key;
  private final byte[] aad = CONTEXT.toCanonicalBytes();
  private final ThreadLocal<PerThread> perThread = ThreadLocal.withInitial(PerThread::new);

  private RawColumn(String name, SecretKey key) {
    this.name = name;
    this.key = key;
  }

  /** A column under a new key. */
  static RawColumn create(String name) {
    byte[] key = new byte[32];
    RANDOM.nextBytes(key);
    return of(name, key);
  }

  /** A column under a given key. */
  static RawColumn of(String name, byte[] key) {
    return new RawColumn(name, new SecretKeySpec(key, "AES"));
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public byte[] encrypt(byte[] plaintext) throws GeneralSecurityException {
    PerThread mine = perThread.get();
    byte[] sealed = new byte[NONCE_BYTES + plaintext.length + TAG_BYTES];
    mine.nextNonce(sealed);
    mine.cipher.init(Cipher.ENCRYPT_MODE, key, nonceOf(sealed));
    mine.cipher.updateAAD(aad);
    mine.cipher.doFinal(plaintext, 0, plaintext.length, sealed, NONCE_BYTES);
    return sealed;
  }

  @Override
  public byte[] decrypt(byte[] sealed) throws GeneralSecurityException {
    PerThread mine = perThread.get();
    byte[] plaintext = new byte[sealed.length - NONCE_BYTES - TAG_BYTES];
    mine.cipher.init(Cipher.DECRYPT_MODE, key, nonceOf(sealed));
    mine.cipher.updateAAD(aad);
    mine.cipher.doFinal(sealed, NONCE_BYTES, sealed.length - NONCE_BYTES, plaintext, 0);
    return plaintext;
  }

  private static GCMParameterSpec nonceOf(byte[] sealed) {
    return new GCMParameterSpec(TAG_BYTES * Byte.SIZE, sealed, 0, NONCE_BYTES);
  }

  static Cipher newCipher() {
    try {
      return Cipher.getInstance("AES/GCM/NoPadding");
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("this JDK has no AES-GCM", e);
    }
  }

  private static final class PerThread {
    private final Cipher cipher = newCipher();
    private final byte[] nonces = new byte[NONCES_PER_DRAW * NONCE_BYTES];
    private int used = nonces.length;

    private void nextNonce(byte[] target) {
      if (used == nonces.length) {
        RANDOM.nextBytes(nonces);
        used = 0;
      }
      System.arraycopy(nonces, used, target, 0, NONCE_BYTES);
      used += NONCE_BYTES;
    }
  }
}
