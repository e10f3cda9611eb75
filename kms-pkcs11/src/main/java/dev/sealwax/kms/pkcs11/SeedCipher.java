package dev.sealwax.kms.pkcs11;

import java.nio.ByteBuffer;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.Arrays;
import javax.crypto.AEADBadTagException;
import javax.crypto.Cipher;
import javax.crypto.Mac;
import javax.crypto.spec.GCMParameterSpec;
import org.jspecify.annotations.Nullable;

/**
 * Seals a secret in the JVM under a random seed that the token protects (pkcs11-root-key-v1 §5): a
 * commitment, then AES-256-GCM. Stateless; safe for any thread.
 *
 * <p>Each seed seals one secret, so the nonce is fixed. The commitment lets a sealed secret open
 * under one seed only, which AES-GCM by itself does not promise.
 */
final class SeedCipher {
  static final int SEED_BYTES = 32;
  static final int COMMITMENT_BYTES = 32;
  static final int TAG_BYTES = 16;
  static final int OVERHEAD = COMMITMENT_BYTES + TAG_BYTES;

  private static final int KEY_BYTES = 32;
  private static final int NONCE_BYTES = 12;
  private static final byte[] SALT = WrappedBlob.label("sealwax/pkcs11-root-key/v1/seed");

  private SeedCipher() {}

  /** Seals the one secret of this seed. */
  static byte[] seal(byte[] seed, byte[] binding, byte[] secret) {
    byte[] derived = derive(seed, binding);
    try {
      byte[] sealed = run(Cipher.ENCRYPT_MODE, derived, binding, secret);
      return ByteBuffer.allocate(COMMITMENT_BYTES + sealed.length)
          .put(derived, KEY_BYTES, COMMITMENT_BYTES)
          .put(sealed)
          .array();
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("AES-GCM failed in the JCE provider", e);
    } finally {
      Arrays.fill(derived, (byte) 0);
    }
  }

  /** The secret, which the caller wipes, or null if a single bit of anything differs. */
  static byte @Nullable [] open(byte[] seed, byte[] binding, byte[] sealed) {
    if (sealed.length < OVERHEAD) {
      return null;
    }
    byte[] derived = derive(seed, binding);
    try {
      byte[] expected = Arrays.copyOfRange(derived, KEY_BYTES, derived.length);
      byte[] actual = Arrays.copyOf(sealed, COMMITMENT_BYTES);
      if (!MessageDigest.isEqual(expected, actual)) {
        return null;
      }
      byte[] ciphertext = Arrays.copyOfRange(sealed, COMMITMENT_BYTES, sealed.length);
      return run(Cipher.DECRYPT_MODE, derived, binding, ciphertext);
    } catch (AEADBadTagException e) {
      return null;
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("AES-GCM failed in the JCE provider", e);
    } finally {
      Arrays.fill(derived, (byte) 0);
    }
  }

  private static byte[] run(int mode, byte[] derived, byte[] binding, byte[] input)
      throws GeneralSecurityException {
    try (RawKey key = new RawKey(Arrays.copyOf(derived, KEY_BYTES), "AES")) {
      Cipher cipher = Cipher.getInstance("AES/GCM/NoPadding");
      cipher.init(mode, key, new GCMParameterSpec(8 * TAG_BYTES, new byte[NONCE_BYTES]));
      cipher.updateAAD(binding);
      return cipher.doFinal(input);
    }
  }

  /** HKDF-SHA-256 (RFC 5869): key and commitment, 64 bytes. */
  private static byte[] derive(byte[] seed, byte[] binding) {
    byte[] pseudorandomKey = hmac(SALT, seed);
    byte[] first = hmac(pseudorandomKey, binding, new byte[] {1});
    byte[] second = hmac(pseudorandomKey, first, binding, new byte[] {2});
    try {
      return ByteBuffer.allocate(first.length + second.length).put(first).put(second).array();
    } finally {
      Arrays.fill(pseudorandomKey, (byte) 0);
      Arrays.fill(first, (byte) 0);
      Arrays.fill(second, (byte) 0);
    }
  }

  private static byte[] hmac(byte[] key, byte[]... message) {
    try (RawKey macKey = new RawKey(key.clone(), "HmacSHA256")) {
      Mac mac = Mac.getInstance("HmacSHA256");
      mac.init(macKey);
      for (byte[] part : message) {
        mac.update(part);
      }
      return mac.doFinal();
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("this JDK lacks HmacSHA256", e);
    }
  }
}
