package dev.sealwax.kms.examples.benchmark;

import java.security.GeneralSecurityException;
import java.security.SecureRandom;
import javax.crypto.Cipher;
import javax.crypto.SecretKey;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.SecretKeySpec;

/**
 * AES-256-GCM as tutorials write it: {@code Cipher.getInstance} and twelve random bytes for every
 * message.
 */
final class TextbookColumn implements Column {
  private static final SecureRandom RANDOM = new SecureRandom();

  private final SecretKey key;
  private final byte[] aad = CONTEXT.toCanonicalBytes();

  TextbookColumn() {
    byte[] bytes = new byte[32];
    RANDOM.nextBytes(bytes);
    key = new SecretKeySpec(bytes, "AES");
  }

  @Override
  public String name() {
    return "Cipher.getInstance";
  }

  @Override
  public byte[] encrypt(byte[] plaintext) throws GeneralSecurityException {
    byte[] nonce = new byte[RawColumn.NONCE_BYTES];
    RANDOM.nextBytes(nonce);
    Cipher cipher = cipher(Cipher.ENCRYPT_MODE, nonce);
    byte[] sealed = new byte[nonce.length + plaintext.length + RawColumn.TAG_BYTES];
    System.arraycopy(nonce, 0, sealed, 0, nonce.length);
    cipher.doFinal(plaintext, 0, plaintext.length, sealed, nonce.length);
    return sealed;
  }

  @Override
  public byte[] decrypt(byte[] sealed) throws GeneralSecurityException {
    return cipher(Cipher.DECRYPT_MODE, sealed)
        .doFinal(sealed, RawColumn.NONCE_BYTES, sealed.length - RawColumn.NONCE_BYTES);
  }

  private Cipher cipher(int mode, byte[] startingWithNonce) throws GeneralSecurityException {
    Cipher cipher = RawColumn.newCipher();
    int tagBits = RawColumn.TAG_BYTES * Byte.SIZE;
    cipher.init(
        mode, key, new GCMParameterSpec(tagBits, startingWithNonce, 0, RawColumn.NONCE_BYTES));
    cipher.updateAAD(aad);
    return cipher;
  }
}
