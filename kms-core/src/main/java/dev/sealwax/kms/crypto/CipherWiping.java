package dev.sealwax.kms.crypto;

import java.security.GeneralSecurityException;
import java.util.concurrent.ThreadLocalRandom;
import javax.crypto.Cipher;
import javax.crypto.Mac;

/**
 * Makes a JCE object forget its key: SunJCE keeps key and key schedule until the next {@code init},
 * so it gets one with a zero key.
 */
final class CipherWiping {
  private CipherWiping() {}

  /**
   * Wipes an AES-256-GCM cipher. In encrypt mode, because SunJCE keeps the key and nonce of the
   * last encryption for its reuse check, through any number of decryptions, until the next
   * encryption; the nonce is no fixed one, so that this call never meets that check itself.
   */
  static void wipe(Cipher gcm) {
    byte[] nonce = new byte[AesGcm.NONCE_BYTES];
    ThreadLocalRandom.current().nextBytes(nonce);
    try {
      gcm.init(
          Cipher.ENCRYPT_MODE,
          new WipeableKey(new byte[AesGcm.KEY_BYTES], "AES"),
          AesGcm.parameters(nonce));
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("the JCE provider refused a zero key", e);
    }
  }

  /** Wipes an AES-256 key wrap cipher of either mode. */
  static void wipeKeyWrap(Cipher keyWrap) {
    try {
      keyWrap.init(Cipher.DECRYPT_MODE, new WipeableKey(new byte[32], "AES"));
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("the JCE provider refused a zero key", e);
    }
  }

  static void wipe(Mac mac) {
    try {
      mac.init(new WipeableKey(new byte[32], mac.getAlgorithm()));
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("the JCE provider refused a zero key", e);
    }
  }
}
