package dev.sealwax.kms.crypto;

import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.util.Arrays;
import javax.crypto.Mac;

/**
 * HKDF of RFC 5869 with SHA-256, over the JDK's HMAC.
 *
 * <p>Own code because {@code javax.crypto.KDF} needs JDK 25 and touching Bouncy Castle for it would
 * make every start pay for loading a signed jar of 7 MB. Stateless; safe for any thread.
 */
public final class Hkdf {
  private static final String MAC = "HmacSHA256";
  private static final int HASH_BYTES = 32;

  private Hkdf() {}

  /**
   * HKDF-Extract (RFC 5869 §2.2), for input that is not uniformly random.
   *
   * @param salt not secret; must not be empty
   * @return a pseudorandom key of one hash length, which the caller wipes
   */
  public static byte[] extract(byte[] salt, byte[] inputKey) {
    Mac mac = mac(salt);
    try {
      return mac.doFinal(inputKey);
    } finally {
      CipherWiping.wipe(mac);
    }
  }

  /**
   * HKDF-Expand (RFC 5869 §2.3).
   *
   * @param pseudorandomKey uniformly random, at least one hash length; not retained
   * @param lengthBytes at most 255 hash lengths
   * @return the derived bytes, which the caller wipes
   */
  public static byte[] expand(byte[] pseudorandomKey, byte[] info, int lengthBytes) {
    if (lengthBytes < 1 || lengthBytes > 255 * HASH_BYTES) {
      throw new IllegalArgumentException(
          "HKDF length must be 1 to " + 255 * HASH_BYTES + " bytes, got " + lengthBytes);
    }
    Mac mac = mac(pseudorandomKey);
    byte[] out = new byte[lengthBytes];
    byte[] block = new byte[0];
    try {
      for (int done = 0, counter = 1; done < lengthBytes; done += HASH_BYTES, counter++) {
        mac.update(block);
        Arrays.fill(block, (byte) 0);
        mac.update(info);
        mac.update((byte) counter);
        block = mac.doFinal();
        System.arraycopy(block, 0, out, done, Math.min(HASH_BYTES, lengthBytes - done));
      }
      Arrays.fill(block, (byte) 0);
      return out;
    } finally {
      CipherWiping.wipe(mac);
    }
  }

  /**
   * A label as it enters {@code info}: ASCII, ended by a zero byte so that no label is a prefix of
   * another.
   */
  public static byte[] label(String ascii) {
    return (ascii + '\0').getBytes(StandardCharsets.US_ASCII);
  }

  private static Mac mac(byte[] key) {
    WipeableKey macKey = new WipeableKey(key, MAC);
    try {
      Mac mac = Mac.getInstance(MAC);
      mac.init(macKey);
      return mac;
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("this JDK lacks " + MAC, e);
    } finally {
      macKey.destroy();
    }
  }
}
