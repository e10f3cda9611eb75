package dev.sealwax.kms.tink;

import com.google.crypto.tink.Aead;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KmsException;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Base64;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A keyset as an {@link Aead} of Tink: ciphertexts are Sealwax envelopes, and may be rewrapped as
 * such.
 *
 * <p><b>Associated data</b> becomes an {@link EncryptionContext} of one pair. Up to {@value
 * #MAX_EXACT_BYTES} bytes it is {@value #EXACT_KEY} with their base64url without padding; of longer
 * ones {@value #DIGEST_KEY} with the base64url of their SHA-256. Null is the same as empty. So an
 * {@link EnvelopeCipher} that is given this context opens the ciphertexts, and no context without
 * these keys does.
 *
 * <p><b>Failures</b> are {@link GeneralSecurityException}s, as Tink's contract has it, whose cause
 * is always the {@link KmsException} that says what to do: {@link
 * dev.sealwax.kms.vocabulary.DecryptionFailedException} and {@link
 * dev.sealwax.kms.vocabulary.MalformedEnvelopeException} speak of the ciphertext, all others of
 * keys and of the places they come from; {@link dev.sealwax.kms.vocabulary.RootKeyException} and
 * {@link dev.sealwax.kms.vocabulary.KeysetStoreException} may be an outage. Never take one of these
 * for tampering. Tink's {@code KmsEnvelopeAead} passes the exception on; its keysets, which try one
 * key after the other, do not.
 *
 * <p>As a key-encryption key of {@code KmsEnvelopeAead} it is called with empty associated data.
 * Give such keys a keyset in which nothing else is sealed with empty associated data: whoever gets
 * bytes of their choice sealed so has a data key that they know.
 *
 * <p>Safe for any number of threads; does not own the cipher. Once the {@code Kms} is closed it
 * throws {@link IllegalStateException}.
 */
public final class SealwaxAead implements Aead {
  /** Most bytes of associated data that stand in the context themselves. */
  public static final int MAX_EXACT_BYTES = 4096;

  private static final String EXACT_KEY = "tink-associated-data";
  private static final String DIGEST_KEY = "tink-associated-data-sha256";

  /** The context of no associated data, under which {@code KmsEnvelopeAead} has keys encrypted. */
  static final EncryptionContext WITHOUT = EncryptionContext.of(EXACT_KEY, "");

  private final EnvelopeCipher cipher;

  private SealwaxAead(EnvelopeCipher cipher) {
    this.cipher = cipher;
  }

  /** The keyset of {@code cipher}, for Tink. */
  public static SealwaxAead of(EnvelopeCipher cipher) {
    return new SealwaxAead(Objects.requireNonNull(cipher, "cipher"));
  }

  /**
   * Encrypts under the primary key version.
   *
   * @throws GeneralSecurityException if the keyset cannot encrypt now; see the cause
   */
  @Override
  public byte[] encrypt(byte[] plaintext, byte @Nullable [] associatedData)
      throws GeneralSecurityException {
    try {
      return cipher.encrypt(plaintext, context(associatedData));
    } catch (KmsException e) {
      throw asTink(e);
    }
  }

  /**
   * Decrypts an envelope that was made with the same associated data.
   *
   * @throws GeneralSecurityException if it is not authentic, or the keyset cannot decrypt now; see
   *     the cause
   */
  @Override
  public byte[] decrypt(byte[] ciphertext, byte @Nullable [] associatedData)
      throws GeneralSecurityException {
    try {
      return cipher.decrypt(ciphertext, context(associatedData));
    } catch (KmsException e) {
      throw asTink(e);
    }
  }

  /** The same failure in the terms of Tink's contract. */
  static GeneralSecurityException asTink(KmsException e) {
    return new GeneralSecurityException(e.getMessage(), e);
  }

  private static EncryptionContext context(byte @Nullable [] associatedData) {
    if (associatedData == null || associatedData.length == 0) {
      return WITHOUT;
    }
    return associatedData.length <= MAX_EXACT_BYTES
        ? EncryptionContext.of(EXACT_KEY, base64Url(associatedData))
        : EncryptionContext.of(DIGEST_KEY, base64Url(sha256(associatedData)));
  }

  private static String base64Url(byte[] bytes) {
    return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
  }

  private static byte[] sha256(byte[] bytes) {
    try {
      return MessageDigest.getInstance("SHA-256").digest(bytes);
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every Java platform has SHA-256", e);
    }
  }

  @Override
  public String toString() {
    return "SealwaxAead[" + cipher.keyset() + "]";
  }
}
