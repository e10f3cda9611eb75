package dev.sealwax.kms.tink;

import com.google.crypto.tink.Aead;
import com.google.crypto.tink.aead.AeadParameters;
import com.google.crypto.tink.aead.KmsEnvelopeAead;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.envelope.EnvelopeInfo;
import dev.sealwax.kms.vocabulary.DecryptionFailedException;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyUnavailableException;
import dev.sealwax.kms.vocabulary.KmsException;
import dev.sealwax.kms.vocabulary.MalformedEnvelopeException;
import java.security.GeneralSecurityException;
import java.util.Arrays;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Ciphertexts of Tink's {@link KmsEnvelopeAead}, on their way from an old key-encryption key to a
 * keyset.
 *
 * <p>Such a ciphertext is the encrypted data key, with its length before it, and the payload. To
 * <em>re-home</em> one is to replace the encrypted data key by a Sealwax envelope of the same data
 * key; the payload stays as it is, byte by byte. What comes out is still a ciphertext of {@code
 * KmsEnvelopeAead}, whose key-encryption key is {@link SealwaxAead}. This class reads both, as an
 * {@link Aead} that can take the place of the old one, and encrypts under the keyset.
 *
 * <p>Which key opens a ciphertext is said by its bytes: where a header of a Sealwax envelope stands
 * in the place of the encrypted data key it is the keyset, else the old key-encryption key. The
 * other one is never asked, whatever the first answers.
 *
 * <p><b>Failures.</b> What concerns ciphertext or keyset is a {@link KmsException}; {@link
 * #encrypt} and {@link #decrypt}, where Tink's contract forbids that, throw a {@link
 * GeneralSecurityException} with it as the cause. What the old key-encryption key throws is passed
 * on as it is: only its maker knows whether that was an outage.
 *
 * <p>A re-homed ciphertext has what Tink gave it: the payload commits to no key, and associated
 * data is bound to the payload only. {@link #reencrypt} makes it an envelope like others.
 *
 * <p>Immutable, and safe for any number of threads if the old key-encryption key is; owns neither
 * it nor the cipher. Data keys in its hands are wiped; copies that Tink makes are not. Throws
 * {@link IllegalStateException} once the {@code Kms} is closed.
 */
public final class TinkEnvelopes implements Aead {
  private final @Nullable Aead oldKek;
  private final DataKeyType dataKeyType;
  private final EnvelopeCipher cipher;
  private final Aead underKeyset;

  private TinkEnvelopes(
      @Nullable Aead oldKek, DataKeyType dataKeyType, EnvelopeCipher cipher, Aead underKeyset) {
    this.oldKek = oldKek;
    this.dataKeyType = dataKeyType;
    this.cipher = cipher;
    this.underKeyset = underKeyset;
  }

  /**
   * For ciphertexts that are under the keyset of {@code cipher}; others are refused.
   *
   * @param dataKeyParameters what {@link KmsEnvelopeAead#create} was given. New data keys are made
   *     to it; of those in ciphertexts only the kind has to agree
   * @throws GeneralSecurityException if this JVM cannot use such keys: AES-GCM-SIV takes a provider
   *     that has it
   * @throws IllegalArgumentException if {@link KmsEnvelopeAead} does not take such keys
   */
  public static TinkEnvelopes of(AeadParameters dataKeyParameters, EnvelopeCipher cipher)
      throws GeneralSecurityException {
    Objects.requireNonNull(dataKeyParameters, "data key parameters");
    return new TinkEnvelopes(
        null,
        DataKeyType.of(dataKeyParameters),
        Objects.requireNonNull(cipher, "cipher"),
        KmsEnvelopeAead.create(dataKeyParameters, SealwaxAead.of(cipher)));
  }

  /**
   * The same, reading also ciphertexts that are still under {@code oldKek}, which must return a new
   * array from each call, because that is wiped. Leave it out again when all have moved: until
   * then, whoever can encrypt under the old key can make ciphertexts.
   */
  public TinkEnvelopes withOldKek(Aead oldKek) {
    return new TinkEnvelopes(
        Objects.requireNonNull(oldKek, "old key-encryption key"), dataKeyType, cipher, underKeyset);
  }

  /**
   * What a ciphertext says of the keyset that it is under, read without any key and therefore
   * <em>unauthenticated</em>; nothing if it is under something else. The first {@code 4 +} {@link
   * EnvelopeInfo#MAX_HEADER_BYTES} bytes are enough.
   *
   * @throws MalformedEnvelopeException if it has no length of an encrypted data key
   */
  public static Optional<EnvelopeInfo> inspect(byte[] ciphertext) {
    return KmsEnvelope.parseStart(Objects.requireNonNull(ciphertext, "ciphertext")).claim();
  }

  // --- as an Aead ---

  /**
   * Encrypts a message to a ciphertext of {@link KmsEnvelopeAead} under the keyset.
   *
   * @throws GeneralSecurityException if the keyset cannot encrypt now; see the cause
   */
  @Override
  public byte[] encrypt(byte[] plaintext, byte @Nullable [] associatedData)
      throws GeneralSecurityException {
    return underKeyset.encrypt(plaintext, orEmpty(associatedData));
  }

  /**
   * Decrypts a ciphertext under the keyset or the old key-encryption key.
   *
   * @throws GeneralSecurityException with a {@link KmsException} as its cause, or as the old
   *     key-encryption key throws it
   */
  @Override
  public byte[] decrypt(byte[] ciphertext, byte @Nullable [] associatedData)
      throws GeneralSecurityException {
    Objects.requireNonNull(ciphertext, "ciphertext");
    try {
      return open(KmsEnvelope.parse(ciphertext), associatedData);
    } catch (KmsException e) {
      throw SealwaxAead.asTink(e);
    }
  }

  // --- moving ---

  /**
   * Moves a ciphertext under the keyset. Needs no associated data, and does not look at the
   * payload; a data key that is none is not moved. A ciphertext that is under the keyset already is
   * verified as far as its data key, and returned unchanged.
   *
   * <p>What this protects from and what not: the data key stays the same, so whoever already
   * learned it keeps it, and so does everybody with the old ciphertext and the old key.
   *
   * @return the new ciphertext; the length of the encrypted data key differs, that of the payload
   *     does not
   * @throws MalformedEnvelopeException if it is no ciphertext of {@code KmsEnvelopeAead}, its data
   *     key is of another kind, or it is not under the keyset and there is no old key-encryption
   *     key
   * @throws DecryptionFailedException if the data key under the keyset is not authentic
   * @throws KeyUnavailableException if a key version may not be used for it
   * @throws GeneralSecurityException as the old key-encryption key throws it
   */
  public byte[] rehome(byte[] ciphertext) throws GeneralSecurityException {
    KmsEnvelope envelope = KmsEnvelope.parse(Objects.requireNonNull(ciphertext, "ciphertext"));
    byte[] dataKey = decryptDataKey(envelope);
    try {
      dataKeyType.parse(dataKey);
      return envelope.claim().isPresent()
          ? ciphertext.clone()
          : envelope.withDataKey(cipher.encrypt(dataKey, SealwaxAead.WITHOUT));
    } finally {
      Arrays.fill(dataKey, (byte) 0);
    }
  }

  /**
   * Moves a ciphertext that is under the keyset to the primary key version, as {@link
   * EnvelopeCipher#rewrap} does: by its header alone, and without changing any length.
   *
   * @throws MalformedEnvelopeException if it is not under a keyset; re-home it first
   * @throws DecryptionFailedException if the wrapped key is not authentic
   * @throws KeyUnavailableException if either key version may not be used for it
   */
  public byte[] rewrap(byte[] ciphertext) {
    KmsEnvelope envelope = KmsEnvelope.parse(Objects.requireNonNull(ciphertext, "ciphertext"));
    return envelope.withDataKey(cipher.rewrap(envelope.requireSealwax()));
  }

  /**
   * Decrypts a ciphertext under the keyset or the old key-encryption key, and encrypts the message
   * to a Sealwax envelope, which commits to its key and is bound to {@code context}. Also opens
   * what is under a {@code COMPROMISED} key version.
   *
   * @return an envelope, which {@link EnvelopeCipher#decrypt} opens and Tink does not
   * @throws MalformedEnvelopeException as {@link #rehome} does
   * @throws DecryptionFailedException if ciphertext and associated data do not fit together
   * @throws KeyUnavailableException if either key version may not be used for it
   * @throws GeneralSecurityException as the old key-encryption key throws it
   */
  public byte[] reencrypt(
      byte[] ciphertext, byte @Nullable [] associatedData, EncryptionContext context)
      throws GeneralSecurityException {
    Objects.requireNonNull(context, "context");
    KmsEnvelope envelope = KmsEnvelope.parse(Objects.requireNonNull(ciphertext, "ciphertext"));
    if (envelope.claim().isPresent()) {
      // The only way into what a compromised version wraps.
      envelope =
          KmsEnvelope.parse(
              envelope.withDataKey(
                  cipher.reencrypt(envelope.encryptedDataKey(), SealwaxAead.WITHOUT)));
    }
    byte[] plaintext = open(envelope, associatedData);
    try {
      return cipher.encrypt(plaintext, context);
    } finally {
      Arrays.fill(plaintext, (byte) 0);
    }
  }

  private byte[] open(KmsEnvelope envelope, byte @Nullable [] associatedData)
      throws GeneralSecurityException {
    byte[] dataKey = decryptDataKey(envelope);
    Aead payloadKey;
    try {
      payloadKey = dataKeyType.parse(dataKey);
    } finally {
      Arrays.fill(dataKey, (byte) 0);
    }
    try {
      return payloadKey.decrypt(envelope.payload(), orEmpty(associatedData));
    } catch (GeneralSecurityException e) {
      throw new DecryptionFailedException();
    }
  }

  /** The caller wipes it. */
  private byte[] decryptDataKey(KmsEnvelope envelope) throws GeneralSecurityException {
    if (oldKek == null || envelope.claim().isPresent()) {
      return cipher.decrypt(envelope.requireSealwax(), SealwaxAead.WITHOUT);
    }
    return oldKek.decrypt(envelope.encryptedDataKey(), KmsEnvelope.NO_BYTES);
  }

  private static byte[] orEmpty(byte @Nullable [] associatedData) {
    return associatedData == null ? KmsEnvelope.NO_BYTES : associatedData;
  }

  @Override
  public String toString() {
    return "TinkEnvelopes[" + dataKeyType + ", " + cipher.keyset() + "]";
  }
}
