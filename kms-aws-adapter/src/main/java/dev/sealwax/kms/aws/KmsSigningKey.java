package dev.sealwax.kms.aws;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.INTERNAL;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNSUPPORTED;

import dev.sealwax.kms.rootkey.RootKeyId;
import dev.sealwax.kms.rootkey.SignatureAlgorithm;
import dev.sealwax.kms.rootkey.SigningKey;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.security.AlgorithmParameters;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.MessageDigest;
import java.security.PublicKey;
import java.security.interfaces.ECPublicKey;
import java.security.interfaces.RSAPublicKey;
import java.security.spec.ECGenParameterSpec;
import java.security.spec.ECParameterSpec;
import java.security.spec.X509EncodedKeySpec;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.services.kms.model.GetPublicKeyRequest;
import software.amazon.awssdk.services.kms.model.GetPublicKeyResponse;
import software.amazon.awssdk.services.kms.model.KeyUsageType;
import software.amazon.awssdk.services.kms.model.MessageType;
import software.amazon.awssdk.services.kms.model.SignRequest;
import software.amazon.awssdk.services.kms.model.SignResponse;
import software.amazon.awssdk.services.kms.model.SigningAlgorithmSpec;

/**
 * An asymmetric key of AWS KMS that signs. The public half is read once; the key is named by its
 * ARN from then on. Safe for concurrent use.
 */
final class KmsSigningKey implements SigningKey {
  /** Longest message that KMS hashes itself, in bytes; of longer ones it gets the hash. */
  static final int MAX_RAW_BYTES = 4096;

  private final KmsConnection connection;
  private final KeyArn key;
  private final SignatureAlgorithm algorithm;
  private final PublicKey publicKey;

  private KmsSigningKey(
      KmsConnection connection, KeyArn key, SignatureAlgorithm algorithm, PublicKey publicKey) {
    this.connection = connection;
    this.key = key;
    this.algorithm = algorithm;
    this.publicKey = publicKey;
  }

  static KmsSigningKey open(KmsConnection connection, String name) {
    KeyArn named = KeyArn.parse(name);
    KeyArn key = named != null ? named : connection.resolve(name);
    GetPublicKeyResponse found =
        connection.call(
            "read public key",
            key.toString(),
            kms ->
                kms.getPublicKey(
                    GetPublicKeyRequest.builder()
                        .keyId(key.toString())
                        .overrideConfiguration(connection.configuration())
                        .build()));
    // The ARN, says the documentation; there are services that answer with the id alone.
    if (!key.keyId().equals(found.keyId())) {
      KmsConnection.requireFrom(key, found.keyId());
    }
    if (found.keyUsage() != KeyUsageType.SIGN_VERIFY) {
      throw new RootKeyException(
          UNSUPPORTED, key + " is for " + found.keyUsageAsString() + " and not for signatures");
    }
    PublicKey publicKey = publicKey(key, found.publicKey());
    return new KmsSigningKey(connection, key, algorithm(key, publicKey), publicKey);
  }

  private static PublicKey publicKey(KeyArn key, @Nullable SdkBytes encoded) {
    X509EncodedKeySpec spec =
        new X509EncodedKeySpec(encoded == null ? new byte[0] : encoded.asByteArray());
    try {
      return KeyFactory.getInstance("EC").generatePublic(spec);
    } catch (GeneralSecurityException notOnACurve) {
      try {
        return KeyFactory.getInstance("RSA").generatePublic(spec);
      } catch (GeneralSecurityException e) {
        throw unsupported(key, e);
      }
    }
  }

  /** By the key itself, whose other properties not every service tells. */
  private static SignatureAlgorithm algorithm(KeyArn key, PublicKey publicKey) {
    if (publicKey instanceof RSAPublicKey) {
      return SignatureAlgorithm.RSA_PSS_SHA256;
    }
    if (isOn("secp256r1", publicKey)) {
      return SignatureAlgorithm.ECDSA_P256_SHA256;
    }
    if (isOn("secp384r1", publicKey)) {
      return SignatureAlgorithm.ECDSA_P384_SHA384;
    }
    throw unsupported(key, null);
  }

  private static boolean isOn(String curve, PublicKey publicKey) {
    try {
      AlgorithmParameters parameters = AlgorithmParameters.getInstance("EC");
      parameters.init(new ECGenParameterSpec(curve));
      return publicKey instanceof ECPublicKey point
          && parameters
              .getParameterSpec(ECParameterSpec.class)
              .getCurve()
              .equals(point.getParams().getCurve());
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("this JDK lacks " + curve, e);
    }
  }

  private static RootKeyException unsupported(
      KeyArn key, @Nullable GeneralSecurityException cause) {
    return new RootKeyException(
        UNSUPPORTED, key + " does not sign by P-256, P-384 or RSA, or not readably", cause);
  }

  @Override
  public RootKeyId id() {
    return AwsKmsRootKey.idOf(key);
  }

  @Override
  public SignatureAlgorithm algorithm() {
    return algorithm;
  }

  @Override
  public PublicKey publicKey() {
    return publicKey;
  }

  @Override
  public byte[] sign(byte[] message) {
    Objects.requireNonNull(message, "message");
    boolean raw = message.length <= MAX_RAW_BYTES && message.length > 0;
    byte[] input = raw ? message : digest(message);
    SignResponse answer =
        connection.call(
            "sign",
            key.toString(),
            kms ->
                kms.sign(
                    SignRequest.builder()
                        .keyId(key.toString())
                        .signingAlgorithm(nameInKms())
                        .messageType(raw ? MessageType.RAW : MessageType.DIGEST)
                        .message(SdkBytes.fromByteArray(input))
                        .overrideConfiguration(connection.configuration())
                        .build()));
    KmsConnection.requireFrom(key, answer.keyId());
    if (answer.signature() == null) {
      throw new RootKeyException(INTERNAL, "KMS answered without a signature by " + key);
    }
    return answer.signature().asByteArray();
  }

  private SigningAlgorithmSpec nameInKms() {
    return switch (algorithm) {
      case ECDSA_P256_SHA256 -> SigningAlgorithmSpec.ECDSA_SHA_256;
      case ECDSA_P384_SHA384 -> SigningAlgorithmSpec.ECDSA_SHA_384;
      case RSA_PSS_SHA256 -> SigningAlgorithmSpec.RSASSA_PSS_SHA_256;
      case ED25519 -> throw new IllegalStateException("never opened");
    };
  }

  private byte[] digest(byte[] message) {
    try {
      boolean large = algorithm == SignatureAlgorithm.ECDSA_P384_SHA384;
      return MessageDigest.getInstance(large ? "SHA-384" : "SHA-256").digest(message);
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("this JDK lacks SHA-2", e);
    }
  }

  @Override
  public String toString() {
    return "KmsSigningKey[" + key + ", " + algorithm + "]";
  }
}
