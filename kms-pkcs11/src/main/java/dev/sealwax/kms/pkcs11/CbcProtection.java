package dev.sealwax.kms.pkcs11;

import java.nio.ByteBuffer;
import java.security.SecureRandom;
import java.util.Arrays;

/**
 * AES-CBC of a seed, which is whole blocks and needs no padding: a padding would be an oracle. It
 * authenticates nothing; the companion key does, before anything is decrypted.
 */
record CbcProtection(TokenObject key) implements Protection {
  static final int IV_BYTES = 16;

  private static final SecureRandom RANDOM = new SecureRandom();

  @Override
  public byte[] protect(TokenSession session, byte[] secret, byte[] binding) {
    byte[] iv = new byte[IV_BYTES];
    RANDOM.nextBytes(iv);
    byte[] ciphertext =
        session.encrypt(
            new Mechanism.WithIv(Ck.CKM_AES_CBC, iv),
            key.handle(session),
            secret,
            secret.length + 2 * IV_BYTES);
    return ByteBuffer.allocate(IV_BYTES + ciphertext.length).put(iv).put(ciphertext).array();
  }

  @Override
  public byte[] recover(TokenSession session, byte[] protectedPart, byte[] binding) {
    byte[] iv = Arrays.copyOf(protectedPart, IV_BYTES);
    byte[] ciphertext = Arrays.copyOfRange(protectedPart, IV_BYTES, protectedPart.length);
    return session.decrypt(
        new Mechanism.WithIv(Ck.CKM_AES_CBC, iv),
        key.handle(session),
        ciphertext,
        ciphertext.length + 2 * IV_BYTES);
  }
}
