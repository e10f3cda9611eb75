package dev.sealwax.kms.rootkey;

import dev.sealwax.kms.crypto.Hkdf;
import dev.sealwax.kms.crypto.SingleUseGcm;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.util.Arrays;
import javax.crypto.AEADBadTagException;
import org.jspecify.annotations.Nullable;

/**
 * The byte layout {@code salt || commitment || ciphertext || tag} of local-root-key-v1 §3: a secret
 * under a key derived for it alone. Stateless; safe for any thread.
 *
 * <p>The 32-byte salt gives every secret its own AES key, so there is no nonce to run out of: two
 * of 2^112 salts collide with a chance of 2^-33, the bound of SP 800-38D §8. The commitment comes
 * from the same HKDF call, so one sealed secret opens under one input key only; AES-GCM by itself
 * does not promise that (partitioning oracles, invisible salamanders).
 */
final class SealedSecret {
  static final int SALT_POS = 0;
  static final int SALT_LEN = 32;
  static final int COMMITMENT_POS = SALT_POS + SALT_LEN; // 32
  static final int COMMITMENT_LEN = 32;
  static final int CIPHERTEXT_POS = COMMITMENT_POS + COMMITMENT_LEN; // 64
  static final int OVERHEAD = CIPHERTEXT_POS + SingleUseGcm.TAG_BYTES; // 80

  private SealedSecret() {}

  /** Seals {@code secret}; {@code salt} must be fresh and random. */
  static byte[] seal(
      byte[] inputKey, byte[] label, byte[] salt, byte[] associatedData, byte[] secret) {
    byte[] derived = derive(inputKey, label, salt);
    byte[] key = Arrays.copyOf(derived, SingleUseGcm.KEY_BYTES);
    try {
      return ByteBuffer.allocate(OVERHEAD + secret.length)
          .put(salt)
          .put(derived, SingleUseGcm.KEY_BYTES, COMMITMENT_LEN)
          .put(SingleUseGcm.seal(key, associatedData, secret))
          .array();
    } finally {
      Arrays.fill(key, (byte) 0);
      Arrays.fill(derived, (byte) 0);
    }
  }

  /** The secret, which the caller wipes, or null if anything at all does not match. */
  static byte @Nullable [] open(
      byte[] inputKey, byte[] label, byte[] associatedData, byte[] sealed) {
    if (sealed.length < OVERHEAD) {
      return null;
    }
    byte[] derived = derive(inputKey, label, Arrays.copyOf(sealed, SALT_LEN));
    byte[] key = Arrays.copyOf(derived, SingleUseGcm.KEY_BYTES);
    try {
      byte[] expected = Arrays.copyOfRange(derived, SingleUseGcm.KEY_BYTES, derived.length);
      byte[] actual = Arrays.copyOfRange(sealed, COMMITMENT_POS, CIPHERTEXT_POS);
      if (!MessageDigest.isEqual(expected, actual)) {
        return null;
      }
      byte[] ciphertext = Arrays.copyOfRange(sealed, CIPHERTEXT_POS, sealed.length);
      return SingleUseGcm.open(key, associatedData, ciphertext);
    } catch (AEADBadTagException e) {
      return null;
    } finally {
      Arrays.fill(key, (byte) 0);
      Arrays.fill(derived, (byte) 0);
    }
  }

  private static byte[] derive(byte[] inputKey, byte[] label, byte[] salt) {
    byte[] pseudorandomKey = Hkdf.extract(salt, inputKey);
    try {
      return Hkdf.expand(pseudorandomKey, label, SingleUseGcm.KEY_BYTES + COMMITMENT_LEN);
    } finally {
      Arrays.fill(pseudorandomKey, (byte) 0);
    }
  }
}
