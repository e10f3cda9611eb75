package dev.sealwax.kms.tink;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;

import com.google.crypto.tink.Aead;
import com.google.crypto.tink.aead.KmsEnvelopeAead;
import com.google.crypto.tink.aead.PredefinedAeadParameters;
import dev.sealwax.kms.vocabulary.DecryptionFailedException;
import java.security.GeneralSecurityException;
import java.util.Arrays;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Assume;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.lifecycle.AfterContainer;

/** Any associated data opens what it was given for, and no other does. */
class SealwaxAeadProperties {
  private static final TinkRig RIG = new TinkRig();

  @AfterContainer
  static void close() {
    RIG.close();
  }

  /** Often short and alike, sometimes around the limit, where the mapping changes. */
  @Provide
  Arbitrary<byte[]> data() {
    return Arbitraries.oneOf(
        Arbitraries.of((byte) 0, (byte) 1, (byte) -1, (byte) 'A')
            .array(byte[].class)
            .ofMinSize(0)
            .ofMaxSize(4),
        Arbitraries.bytes().array(byte[].class).ofMinSize(4094).ofMaxSize(4099),
        Arbitraries.bytes().array(byte[].class).ofMinSize(0).ofMaxSize(300));
  }

  @Property(tries = 300)
  void associatedData_isBound(
      @ForAll byte[] plaintext, @ForAll("data") byte[] data, @ForAll("data") byte[] other)
      throws GeneralSecurityException {
    SealwaxAead aead = SealwaxAead.of(RIG.cipher);

    byte[] sealed = aead.encrypt(plaintext, data);

    assertArrayEquals(plaintext, aead.decrypt(sealed, data));
    Assume.that(!Arrays.equals(data, other));
    assertInstanceOf(
        DecryptionFailedException.class, TinkRig.failureOf(() -> aead.decrypt(sealed, other)));
  }

  @Property(tries = 300)
  void associatedData_staysBoundToWhatIsRehomed(
      @ForAll byte[] plaintext, @ForAll("data") byte[] data, @ForAll("data") byte[] other)
      throws GeneralSecurityException {
    Aead old = KmsEnvelopeAead.create(PredefinedAeadParameters.AES128_GCM, RIG.oldKek);
    TinkEnvelopes envelopes =
        TinkEnvelopes.of(PredefinedAeadParameters.AES128_GCM, RIG.cipher).withOldKek(RIG.oldKek);

    byte[] rehomed = envelopes.rehome(old.encrypt(plaintext, data));

    assertArrayEquals(plaintext, envelopes.decrypt(rehomed, data));
    Assume.that(!Arrays.equals(data, other));
    assertInstanceOf(
        DecryptionFailedException.class,
        TinkRig.failureOf(() -> envelopes.decrypt(rehomed, other)));
  }
}
