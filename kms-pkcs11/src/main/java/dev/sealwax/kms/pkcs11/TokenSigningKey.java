package dev.sealwax.kms.pkcs11;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.NOT_FOUND;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNSUPPORTED;

import dev.sealwax.kms.rootkey.RootKeyId;
import dev.sealwax.kms.rootkey.SignatureAlgorithm;
import dev.sealwax.kms.rootkey.SigningKey;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.security.PublicKey;
import java.security.Signature;
import java.security.spec.MGF1ParameterSpec;
import java.security.spec.PSSParameterSpec;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A signing key of a token. The hash is computed in the JVM, because many tokens sign digests only.
 * Safe for concurrent use.
 */
final class TokenSigningKey implements SigningKey {
  private static final int MAX_UNHASHED_BYTES = 16_384;
  private static final int MAX_SIGNATURE_BYTES = 2048;
  private static final int PSS_SALT_BYTES = 32;
  private static final byte[] SELF_TEST = "sealwax self-test".getBytes(StandardCharsets.US_ASCII);

  /** More with one id is a sign of mischief; the private key had better tell its point. */
  private static final int MAX_PUBLIC_KEYS = 4096;

  private static final Logger LOG = LoggerFactory.getLogger(TokenSigningKey.class);

  /** A signature, and the login it was made under. */
  private static final class Made {
    private final Login login;
    private final byte[] signature;

    Made(Login login, byte[] signature) {
      this.login = login;
      this.signature = signature;
    }
  }

  private final TokenConnection connection;
  private final TokenObject key;
  private final RootKeyId id;
  private final SignatureAlgorithm algorithm;
  private final PublicKey publicKey;

  /** The login under which a signature has been seen to verify. */
  private volatile @Nullable Login verified;

  private TokenSigningKey(
      TokenConnection connection,
      TokenObject key,
      RootKeyId id,
      SignatureAlgorithm algorithm,
      PublicKey publicKey) {
    this.connection = connection;
    this.key = key;
    this.id = id;
    this.algorithm = algorithm;
    this.publicKey = publicKey;
  }

  /**
   * Finds the private key with that label, reads its public half, and makes sure by a signature
   * that the two belong together.
   */
  static TokenSigningKey open(TokenConnection connection, String label) {
    List<TokenSigningKey> candidates =
        connection.call("open signing key", session -> find(session, connection, label));
    // The private key is the same for all; one signature tells which public key belongs to it.
    Made made = candidates.get(0).make(SELF_TEST);
    for (TokenSigningKey candidate : candidates) {
      if (candidate.verifies(SELF_TEST, made.signature)) {
        candidate.verified = made.login;
        return candidate;
      }
    }
    throw new RootKeyException(
        UNSUPPORTED,
        "signatures by "
            + candidates.get(0).key
            + " do not verify with the public key that the token has for it");
  }

  /** The key with each public key that may be its own; at least one. */
  private static List<TokenSigningKey> find(
      TokenSession session, TokenConnection connection, String label) {
    long[] handles =
        session.find(
            new Template()
                .number(Ck.CKA_CLASS, Ck.CKO_PRIVATE_KEY)
                .flag(Ck.CKA_TOKEN, true)
                .flag(Ck.CKA_PRIVATE, true)
                .text(Ck.CKA_LABEL, label),
            2);
    if (handles.length != 1) {
      throw new RootKeyException(
          NOT_FOUND,
          session.login().token()
              + (handles.length == 0
                  ? " has no private key labelled '"
                  : " has more than one private key labelled '")
              + label
              + "'");
    }
    long handle = handles[0];
    byte[] keyId = TokenKeys.id(session, handle);
    if (keyId.length < 1 || keyId.length > Pkcs11Uri.MAX_ID_BYTES) {
      throw new RootKeyException(
          UNSUPPORTED, "key '" + label + "' has an id of " + keyId.length + " bytes (CKA_ID)");
    }
    TokenKeys.requireKeptInside(
        TokenKeys.protection(session, handle), "key '" + label + "'", connection.config());
    byte[] type = session.attribute(handle, Ck.CKA_KEY_TYPE);
    long keyType = type == null ? Ck.UNAVAILABLE : Template.decode(type);
    TokenObject key = TokenObject.byId(Ck.CKO_PRIVATE_KEY, keyType, keyId);
    TokenKeys.requireNoPinForEachUse(session, handle, "key '" + label + "'");
    SignatureAlgorithm algorithm = algorithm(session, handle, keyType, label);
    List<PublicKey> publicKeys =
        algorithm == SignatureAlgorithm.RSA_PSS_SHA256
            ? List.of(TokenKeys.rsaPublicKey(session, handle, key))
            : points(session, handle, key, NamedCurve.of(algorithm), keyId);
    if (publicKeys.isEmpty()) {
      throw new RootKeyException(
          NOT_FOUND, "the token has no public key beside private key '" + label + "'");
    }
    RootKeyId id = Pkcs11RootKey.idOf(keyId);
    return publicKeys.stream()
        .map(publicKey -> new TokenSigningKey(connection, key, id, algorithm, publicKey))
        .toList();
  }

  private static SignatureAlgorithm algorithm(
      TokenSession session, long handle, long keyType, String label) {
    if (keyType == Ck.CKK_RSA) {
      return SignatureAlgorithm.RSA_PSS_SHA256;
    }
    byte[] parameters = session.attribute(handle, Ck.CKA_EC_PARAMS);
    for (SignatureAlgorithm candidate : SignatureAlgorithm.values()) {
      boolean isCurve = candidate != SignatureAlgorithm.RSA_PSS_SHA256;
      if (isCurve
          && NamedCurve.of(candidate).parameters().stream()
              .anyMatch(form -> Arrays.equals(form, parameters))) {
        return candidate;
      }
    }
    throw new RootKeyException(
        UNSUPPORTED, "key '" + label + "' is neither RSA nor on a curve that is supported");
  }

  /**
   * A private key need not tell its point; then a public object beside it does. There may be others
   * of the same id, because those can be made without the PIN.
   */
  private static List<PublicKey> points(
      TokenSession session, long handle, TokenObject key, NamedCurve curve, byte[] keyId) {
    byte[] point = session.attribute(handle, Ck.CKA_EC_POINT);
    if (point != null && point.length > 0) {
      return List.of(curve.read(point));
    }
    Template template =
        new Template()
            .number(Ck.CKA_CLASS, Ck.CKO_PUBLIC_KEY)
            .number(Ck.CKA_KEY_TYPE, key.keyType())
            .bytes(Ck.CKA_ID, keyId);
    List<PublicKey> found = new ArrayList<>();
    for (long object : session.find(template, MAX_PUBLIC_KEYS)) {
      byte[] candidate = session.attribute(object, Ck.CKA_EC_POINT);
      if (candidate != null) {
        try {
          found.add(curve.read(candidate));
        } catch (RootKeyException e) {
          LOG.debug("a public key beside {} is none of its curve", key, e);
        }
      }
    }
    return found;
  }

  @Override
  public RootKeyId id() {
    return id;
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
    if (algorithm == SignatureAlgorithm.ED25519 && message.length > MAX_UNHASHED_BYTES) {
      throw new RootKeyException(
          UNSUPPORTED,
          "Ed25519 signs messages of at most "
              + MAX_UNHASHED_BYTES
              + " bytes in a token, got "
              + message.length
              + "; sign a digest");
    }
    Made made = make(message);
    verifyOnce(made.login, message, made.signature);
    return made.signature;
  }

  private Made make(byte[] message) {
    byte[] input = algorithm == SignatureAlgorithm.ED25519 ? message.clone() : digest(message);
    Made made =
        connection.call(
            "sign",
            session ->
                new Made(
                    session.login(),
                    session.sign(mechanism(), key.handle(session), input, MAX_SIGNATURE_BYTES)));
    return switch (algorithm) {
      case ECDSA_P256_SHA256, ECDSA_P384_SHA384 -> new Made(made.login, der(made.signature));
      case RSA_PSS_SHA256, ED25519 -> made;
    };
  }

  /** After each login the key was looked for again, and may be another. */
  private void verifyOnce(Login login, byte[] message, byte[] signature) {
    if (verified == login) {
      return;
    }
    if (!verifies(message, signature)) {
      throw new RootKeyException(
          NOT_FOUND, login.token() + " has another key under the id of " + key);
    }
    verified = login;
  }

  private byte[] digest(byte[] message) {
    try {
      boolean large = algorithm == SignatureAlgorithm.ECDSA_P384_SHA384;
      return MessageDigest.getInstance(large ? "SHA-384" : "SHA-256").digest(message);
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("this JDK lacks SHA-2", e);
    }
  }

  private Mechanism mechanism() {
    return switch (algorithm) {
      case ECDSA_P256_SHA256, ECDSA_P384_SHA384 -> new Mechanism.Plain(Ck.CKM_ECDSA);
      case RSA_PSS_SHA256 -> new Mechanism.Pss(Ck.CKM_SHA256, Ck.CKG_MGF1_SHA256, PSS_SALT_BYTES);
      case ED25519 -> new Mechanism.Plain(Ck.CKM_EDDSA);
    };
  }

  /**
   * The two numbers of an ECDSA signature, side by side in PKCS#11, as X9.62 and the JCA have it.
   */
  static byte[] der(byte[] raw) {
    if (raw.length == 0 || raw.length % 2 != 0 || raw.length > 2 * 48) {
      throw new RootKeyException(
          UNSUPPORTED, "the token gave an ECDSA signature of " + raw.length + " bytes");
    }
    byte[] r = new BigInteger(1, Arrays.copyOf(raw, raw.length / 2)).toByteArray();
    byte[] s = new BigInteger(1, Arrays.copyOfRange(raw, raw.length / 2, raw.length)).toByteArray();
    int length = 4 + r.length + s.length;
    return ByteBuffer.allocate(2 + length)
        .put((byte) 0x30)
        .put((byte) length)
        .put((byte) 0x02)
        .put((byte) r.length)
        .put(r)
        .put((byte) 0x02)
        .put((byte) s.length)
        .put(s)
        .array();
  }

  private boolean verifies(byte[] message, byte[] signature) {
    try {
      Signature verifier = Signature.getInstance(algorithm.jcaName());
      if (algorithm == SignatureAlgorithm.RSA_PSS_SHA256) {
        verifier.setParameter(
            new PSSParameterSpec("SHA-256", "MGF1", MGF1ParameterSpec.SHA256, PSS_SALT_BYTES, 1));
      }
      verifier.initVerify(publicKey);
      verifier.update(message);
      return verifier.verify(signature);
    } catch (GeneralSecurityException e) {
      return false;
    }
  }

  @Override
  public String toString() {
    return "TokenSigningKey[" + id + ", " + algorithm + "]";
  }
}
