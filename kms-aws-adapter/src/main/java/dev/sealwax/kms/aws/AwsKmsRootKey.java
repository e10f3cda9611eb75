package dev.sealwax.kms.aws;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.INTERNAL;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.INVALID_CIPHERTEXT;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.NOT_FOUND;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNSUPPORTED;

import dev.sealwax.kms.rootkey.RootKeyId;
import dev.sealwax.kms.rootkey.SigningKey;
import dev.sealwax.kms.rootkey.SigningRootKey;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.util.Arrays;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.services.kms.KmsClient;
import software.amazon.awssdk.services.kms.model.DecryptRequest;
import software.amazon.awssdk.services.kms.model.DecryptResponse;
import software.amazon.awssdk.services.kms.model.EncryptRequest;
import software.amazon.awssdk.services.kms.model.EncryptResponse;
import software.amazon.awssdk.services.kms.model.EncryptionAlgorithmSpec;
import software.amazon.awssdk.services.kms.model.KeyMetadata;
import software.amazon.awssdk.services.kms.model.KeySpec;

/**
 * A symmetric key of AWS KMS as root key.
 *
 * <p>A wrapped key is the ciphertext of KMS, and nothing else; the encryption context is that of
 * KMS. It stands in CloudTrail in the clear, and is what conditions of policies ask for.
 *
 * <p>Every call names the key by its ARN, and an answer that another key was used for is refused.
 * An alias or a key id is looked up once, when the root key is opened; what an alias points to
 * later does not matter. A multi-Region key unwraps what its replicas in other regions wrapped,
 * always by a call to its own region. Rotation in KMS, automatic or on demand, changes nothing
 * here.
 *
 * <p>The {@link KmsClient} is the application's, with its region, credentials and retries, and
 * stays open when this is closed; {@link AwsClients#kms} makes one that fits. Each call ends with
 * the client's {@code apiCallTimeout}, or after 10 seconds if it has none. Safe for concurrent use.
 */
public final class AwsKmsRootKey implements SigningRootKey {
  /** The scheme of every {@link RootKeyId} of this provider; the ARN of the key follows. */
  public static final String SCHEME = "aws-kms";

  /** Longest ciphertext that KMS takes, in bytes. */
  static final int MAX_CIPHERTEXT_BYTES = 6144;

  private final KmsConnection connection;
  private final KeyArn key;
  private final RootKeyId id;

  private AwsKmsRootKey(KmsConnection connection, KeyArn key) {
    this.connection = connection;
    this.key = key;
    this.id = idOf(key);
  }

  /**
   * Opens a root key. By the ARN of a key nothing is asked of KMS, so that a process can start
   * while KMS is down; by an alias or a key id it is, once.
   *
   * @param client stays the caller's, who closes it after this
   * @param key the ARN of a key, its id, or an alias, {@code alias/...} or its ARN
   * @throws RootKeyException with {@code NOT_FOUND} if there is no such key, {@code UNSUPPORTED} if
   *     it is not symmetric, or another reason if KMS refuses or fails; never by a key's ARN
   */
  public static AwsKmsRootKey open(KmsClient client, String key) {
    Objects.requireNonNull(client, "client");
    Objects.requireNonNull(key, "key");
    KmsConnection connection = new KmsConnection(client);
    KeyArn arn = KeyArn.parse(key);
    return new AwsKmsRootKey(connection, arn != null ? arn : resolve(connection, key));
  }

  private static KeyArn resolve(KmsConnection connection, String key) {
    KeyMetadata found = connection.describe(key);
    KeyArn arn = KmsConnection.arnOf(found, key);
    if (found.keySpec() != KeySpec.SYMMETRIC_DEFAULT) {
      throw new RootKeyException(
          UNSUPPORTED,
          arn + " is of kind " + found.keySpecAsString() + "; a root key has to be symmetric");
    }
    return arn;
  }

  static RootKeyId idOf(KeyArn key) {
    return RootKeyId.of(SCHEME + ":" + key);
  }

  @Override
  public RootKeyId currentKeyId() {
    return id;
  }

  /** {@code provider=aws-kms} and its region, for instance {@code region=eu-central-1}. */
  @Override
  public Set<String> tags() {
    return Set.of("provider=" + SCHEME, "region=" + key.region());
  }

  @Override
  public WrappedKey wrap(KeyMaterial key, EncryptionContext context) {
    Objects.requireNonNull(key, "key");
    Objects.requireNonNull(context, "context");
    EncryptResponse answer =
        key.use(
            secret ->
                connection.call("wrap", this.key.toString(), kms -> encrypt(kms, secret, context)));
    KmsConnection.requireFrom(this.key, answer.keyId());
    byte[] ciphertext = bytes(answer.ciphertextBlob());
    if (ciphertext.length < 1 || ciphertext.length > MAX_CIPHERTEXT_BYTES) {
      throw new RootKeyException(
          INTERNAL, "KMS answered with a ciphertext of " + ciphertext.length + " bytes");
    }
    return WrappedKey.of(id, ciphertext);
  }

  private EncryptResponse encrypt(KmsClient kms, byte[] secret, EncryptionContext context) {
    return kms.encrypt(
        EncryptRequest.builder()
            .keyId(key.toString())
            .encryptionAlgorithm(EncryptionAlgorithmSpec.SYMMETRIC_DEFAULT)
            .encryptionContext(context.asMap())
            .plaintext(SdkBytes.fromByteArrayUnsafe(secret)) // not copied, so not left behind
            .overrideConfiguration(connection.configuration())
            .build());
  }

  @Override
  public KeyMaterial unwrap(WrappedKey wrapped, EncryptionContext context) {
    Objects.requireNonNull(wrapped, "wrapped key");
    Objects.requireNonNull(context, "context");
    connection.requireOpen();
    requireOwn(wrapped.rootKeyId());
    byte[] ciphertext = wrapped.ciphertext();
    if (ciphertext.length > MAX_CIPHERTEXT_BYTES) {
      throw new RootKeyException(
          INVALID_CIPHERTEXT, "wrapped key is longer than any that KMS makes");
    }
    DecryptResponse answer =
        connection.call("unwrap", key.toString(), kms -> decrypt(kms, ciphertext, context));
    // Not copied, so that there is one array to wipe.
    byte[] secret = bytes(answer.plaintext());
    try {
      KmsConnection.requireFrom(key, answer.keyId());
      if (secret.length < 1 || secret.length > KeyMaterial.MAX_BYTES) {
        throw new RootKeyException(
            INTERNAL, "KMS answered with a secret of " + secret.length + " bytes");
      }
    } catch (RootKeyException e) {
      Arrays.fill(secret, (byte) 0);
      throw e;
    }
    return KeyMaterial.owning(secret);
  }

  private DecryptResponse decrypt(KmsClient kms, byte[] ciphertext, EncryptionContext context) {
    return kms.decrypt(
        DecryptRequest.builder()
            .keyId(key.toString())
            .encryptionAlgorithm(EncryptionAlgorithmSpec.SYMMETRIC_DEFAULT)
            .encryptionContext(context.asMap())
            .ciphertextBlob(SdkBytes.fromByteArrayUnsafe(ciphertext))
            .overrideConfiguration(connection.configuration())
            .build());
  }

  private void requireOwn(RootKeyId wrappedBy) {
    KeyArn owner =
        wrappedBy.scheme().equals(SCHEME)
            ? KeyArn.parse(wrappedBy.value().substring(SCHEME.length() + 1))
            : null;
    if (owner == null || !key.isSameKeyAs(owner)) {
      throw new RootKeyException(
          NOT_FOUND,
          "key was wrapped by "
              + wrappedBy
              + ", this is "
              + id
              + "; open the root key that wrapped it, or both with RoutingRootKey");
    }
  }

  private static byte[] bytes(@Nullable SdkBytes answered) {
    return answered == null ? new byte[0] : answered.asByteArrayUnsafe();
  }

  /**
   * {@inheritDoc}
   *
   * @param name the ARN or id of an asymmetric key for signatures, or an alias, which is looked up
   *     once; P-256, P-384 or RSA, the latter for RSA-PSS
   * @throws RootKeyException with {@code NOT_FOUND} if there is none, {@code UNSUPPORTED} if the
   *     key does not sign in a way of {@link dev.sealwax.kms.rootkey.SignatureAlgorithm}
   */
  @Override
  public SigningKey signingKey(String name) {
    return KmsSigningKey.open(connection, Objects.requireNonNull(name, "name"));
  }

  /** Ends the use of this root key, and of its signing keys; the client stays open. */
  @Override
  public void close() {
    connection.close();
  }

  @Override
  public String toString() {
    return "AwsKmsRootKey[" + key + "]";
  }
}
