package dev.sealwax.kms.crypto;

import java.security.GeneralSecurityException;
import javax.crypto.Cipher;
import javax.crypto.spec.GCMParameterSpec;

/** The one parameter set of AES-GCM in this library (NIST SP 800-38D). Stateless. */
final class AesGcm {
  static final int KEY_BYTES = 32;
  static final int NONCE_BYTES = 12;
  static final int TAG_BYTES = 16;

  private static final String TRANSFORMATION = "AES/GCM/NoPadding";

  private AesGcm() {}

  /** A cipher without a key. */
  static Cipher newCipher() {
    try {
      return Cipher.getInstance(TRANSFORMATION);
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("this JDK lacks " + TRANSFORMATION, e);
    }
  }

  static GCMParameterSpec parameters(byte[] nonce) {
    return new GCMParameterSpec(8 * TAG_BYTES, nonce);
  }
}
