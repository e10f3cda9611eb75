package dev.sealwax.kms.crypto;

import java.security.GeneralSecurityException;
import javax.crypto.Cipher;
import javax.crypto.Mac;
import javax.crypto.spec.GCMParameterSpec;

/**
 * Makes a JCE object forget its key: SunJCE keeps key and key schedule until the next {@code init},
 * so it gets one with a zero key.
 */
final class CipherWiping {
  private static final GCMParameterSpec ZERO_NONCE = new GCMParameterSpec(128, new byte[12]);

  private CipherWiping() {}

  /**
   * Wipes an AES-256-GCM cipher, once. In encrypt mode, because SunJCE keeps the key and nonce of
   * the last encryption for its reuse check, through any number of decryptions, until the next
   * encryption; a second call would meet that check.
   */
  static void wipe(Cipher gcm) {
    try {
      gcm.init(Cipher.ENCRYPT_MODE, new WipeableKey(new byte[32], "AES"), ZERO_NONCE);
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
