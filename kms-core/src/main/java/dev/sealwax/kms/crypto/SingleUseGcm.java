package dev.sealwax.kms.crypto;

import java.security.GeneralSecurityException;
import javax.crypto.AEADBadTagException;
import javax.crypto.Cipher;

/**
 * AES-256-GCM for keys that seal exactly one message, under the all-zero nonce.
 *
 * <p>SP 800-38D §8 asks that no key meets the same nonce twice. Here the key itself never comes
 * back: the caller derives it for one message and wipes it, so a nonce would add nothing.
 * Stateless; safe for any thread.
 */
public final class SingleUseGcm {
  public static final int KEY_BYTES = AesGcm.KEY_BYTES;
  public static final int TAG_BYTES = AesGcm.TAG_BYTES;

  private SingleUseGcm() {}

  /**
   * Seals the one message of {@code key}.
   *
   * @param key {@value #KEY_BYTES} bytes that seal nothing else, ever; not retained
   * @return the ciphertext followed by the tag
   */
  public static byte[] seal(byte[] key, byte[] associatedData, byte[] plaintext) {
    try {
      return run(Cipher.ENCRYPT_MODE, key, associatedData, plaintext);
    } catch (AEADBadTagException e) {
      throw new IllegalStateException("encryption reported a bad tag", e);
    }
  }

  /**
   * Opens what {@link #seal} made.
   *
   * @return the plaintext, which the caller wipes
   * @throws AEADBadTagException if key, associated data or {@code sealed} differ by a single bit
   */
  public static byte[] open(byte[] key, byte[] associatedData, byte[] sealed)
      throws AEADBadTagException {
    if (sealed.length < TAG_BYTES) {
      // JDK 17 answers this with an unchecked ProviderException.
      throw new AEADBadTagException("shorter than a tag");
    }
    return run(Cipher.DECRYPT_MODE, key, associatedData, sealed);
  }

  private static byte[] run(int mode, byte[] key, byte[] associatedData, byte[] input)
      throws AEADBadTagException {
    if (key.length != KEY_BYTES) {
      throw new IllegalArgumentException("key must be " + KEY_BYTES + " bytes, got " + key.length);
    }
    WipeableKey aesKey = new WipeableKey(key, "AES");
    Cipher cipher = AesGcm.newCipher();
    try {
      cipher.init(mode, aesKey, AesGcm.parameters(new byte[AesGcm.NONCE_BYTES]));
      cipher.updateAAD(associatedData);
      return cipher.doFinal(input);
    } catch (AEADBadTagException e) {
      throw e;
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("AES-GCM failed in the JCE provider", e);
    } finally {
      aesKey.destroy();
      CipherWiping.wipe(cipher);
    }
  }
}
