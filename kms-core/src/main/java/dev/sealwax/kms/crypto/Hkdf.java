package dev.sealwax.kms.crypto;

import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.util.Arrays;
import javax.crypto.Mac;

/**
 * HKDF of RFC 5869 over the JDK's HMAC.
 *
 * <p>Own code because {@code javax.crypto.KDF} needs JDK 25 and touching Bouncy Castle for it would
 * make every start pay for loading a signed jar of 7 MB. Stateless; safe for any thread.
 */
public enum Hkdf {
  SHA256("HmacSHA256", 32),
  SHA512("HmacSHA512", 64);

  private final String macAlgorithm;
  private final int hashBytes;

  Hkdf(String macAlgorithm, int hashBytes) {
    this.macAlgorithm = macAlgorithm;
    this.hashBytes = hashBytes;
  }

  /**
   * HKDF-Extract (RFC 5869 §2.2), for input that is not uniformly random.
   *
   * @param salt not secret; must not be empty
   * @return a pseudorandom key of one hash length, which the caller wipes
   */
  public byte[] extract(byte[] salt, byte[] inputKey) {
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
   * @param pseudorandomKey uniformly random, at least one hash length for SHA-256; not retained
   * @param lengthBytes at most 255 hash lengths
   * @return the derived bytes, which the caller wipes
   */
  public byte[] expand(byte[] pseudorandomKey, byte[] info, int lengthBytes) {
    if (lengthBytes < 1 || lengthBytes > 255 * hashBytes) {
      throw new IllegalArgumentException(
          "HKDF length must be 1 to " + 255 * hashBytes + " bytes, got " + lengthBytes);
    }
    Mac mac = mac(pseudorandomKey);
    byte[] out = new byte[lengthBytes];
    byte[] block = new byte[0];
    try {
      for (int done = 0, counter = 1; done < lengthBytes; done += hashBytes, counter++) {
        mac.update(block);
        Arrays.fill(block, (byte) 0);
        mac.update(info);
        mac.update((byte) counter);
        block = mac.doFinal();
        System.arraycopy(block, 0, out, done, Math.min(hashBytes, lengthBytes - done));
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

  private Mac mac(byte[] key) {
    WipeableKey macKey = new WipeableKey(key, macAlgorithm);
    try {
      Mac mac = Mac.getInstance(macAlgorithm);
      mac.init(macKey);
      return mac;
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("this JDK lacks " + macAlgorithm, e);
    } finally {
      macKey.destroy();
    }
  }
}
