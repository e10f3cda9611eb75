package dev.sealwax.kms.tink;

import com.google.crypto.tink.Aead;
import com.google.crypto.tink.Configuration;
import com.google.crypto.tink.InsecureSecretKeyAccess;
import com.google.crypto.tink.TinkProtoKeysetFormat;
import com.google.crypto.tink.TinkProtoParametersFormat;
import com.google.crypto.tink.aead.AeadConfig2026;
import com.google.crypto.tink.aead.AeadParameters;
import com.google.crypto.tink.aead.KmsEnvelopeAead;
import com.google.crypto.tink.proto.KeyData;
import com.google.crypto.tink.proto.KeyData.KeyMaterialType;
import com.google.crypto.tink.proto.KeyStatusType;
import com.google.crypto.tink.proto.KeyTemplate;
import com.google.crypto.tink.proto.Keyset;
import com.google.crypto.tink.proto.OutputPrefixType;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.UnsafeByteOperations;
import dev.sealwax.kms.vocabulary.MalformedEnvelopeException;
import java.security.GeneralSecurityException;
import java.util.Arrays;

/**
 * A kind of data keys, by the name that Tink has for it, and how Tink reads one: as the only key of
 * a keyset, with the primitives of a configuration that nobody has to register. Immutable.
 */
record DataKeyType(String typeUrl) {
  private static final Configuration TINK = AeadConfig2026.get();
  private static final int ANY_ID = 1;

  /** For keys that are thrown away. */
  private static final Aead UNENCRYPTED =
      new Aead() {
        @Override
        public byte[] encrypt(byte[] plaintext, byte[] associatedData) {
          return plaintext;
        }

        @Override
        public byte[] decrypt(byte[] ciphertext, byte[] associatedData) {
          return ciphertext;
        }
      };

  /**
   * The kind of the keys that {@code parameters} describe.
   *
   * @throws GeneralSecurityException if this JVM cannot use them, for instance because no provider
   *     has AES-GCM-SIV; so that a key which cannot be used later is to blame itself
   */
  static DataKeyType of(AeadParameters parameters) throws GeneralSecurityException {
    KmsEnvelopeAead.create(parameters, UNENCRYPTED)
        .encrypt(KmsEnvelope.NO_BYTES, KmsEnvelope.NO_BYTES);
    try {
      byte[] template = TinkProtoParametersFormat.serialize(parameters, TINK);
      return new DataKeyType(KeyTemplate.parseFrom(template).getTypeUrl());
    } catch (InvalidProtocolBufferException e) {
      throw new AssertionError("Tink reads what it has written", e);
    }
  }

  /**
   * Makes the primitive of a data key in Tink's encoding.
   *
   * @throws MalformedEnvelopeException if it is no key of this kind
   */
  Aead parse(byte[] dataKey) {
    byte[] keyset =
        Keyset.newBuilder()
            .setPrimaryKeyId(ANY_ID)
            .addKey(
                Keyset.Key.newBuilder()
                    .setKeyId(ANY_ID)
                    .setStatus(KeyStatusType.ENABLED)
                    .setOutputPrefixType(OutputPrefixType.RAW)
                    .setKeyData(
                        KeyData.newBuilder()
                            .setTypeUrl(typeUrl)
                            .setKeyMaterialType(KeyMaterialType.SYMMETRIC)
                            .setValue(UnsafeByteOperations.unsafeWrap(dataKey))))
            .build()
            .toByteArray();
    try {
      return TinkProtoKeysetFormat.parseKeyset(keyset, InsecureSecretKeyAccess.get(), TINK)
          .getPrimitive(TINK, Aead.class);
    } catch (GeneralSecurityException e) {
      // Without its cause: what a parser says of a key may quote it.
      throw new MalformedEnvelopeException(
          "encrypted data key",
          Integer.BYTES,
          "opens to something else than a key of type " + this + "; check the parameters");
    } finally {
      Arrays.fill(keyset, (byte) 0);
    }
  }

  @Override
  public String toString() {
    return typeUrl.substring(typeUrl.lastIndexOf('.') + 1);
  }
}
