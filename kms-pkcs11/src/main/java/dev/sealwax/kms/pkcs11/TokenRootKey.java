package dev.sealwax.kms.pkcs11;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.INVALID_CIPHERTEXT;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.NOT_FOUND;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNSUPPORTED;

import dev.sealwax.kms.pkcs11.MechanismProofs.Proven;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.security.interfaces.RSAPublicKey;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * One version of a root key on a token, and what it wraps and unwraps. Safe for any thread.
 *
 * <p>What a wrapped key says is somebody else's word: a failure is held against the wrapped key
 * only after {@link MechanismProofs} has shown that token and mechanism work.
 */
final class TokenRootKey {
  private final byte[] id;
  private final String label;
  private final TokenObject object;
  private final KeyProtection keyProtection;
  private final Pkcs11Config config;

  /** The version that wraps; null if this is it. */
  private final @Nullable TokenRootKey current;

  private final MechanismProofs proofs;
  private final Map<WrapMechanism, Login> refused = new ConcurrentHashMap<>();

  /**
   * A key as it was found; see {@link RootKeySearch}.
   *
   * @param current the version that wraps; null if this is it
   */
  TokenRootKey(
      byte[] id,
      String label,
      TokenObject object,
      KeyProtection keyProtection,
      @Nullable RSAPublicKey publicKey,
      Pkcs11Config config,
      @Nullable TokenRootKey current) {
    this.id = id;
    this.label = label;
    this.object = object;
    this.keyProtection = keyProtection;
    this.config = config;
    this.current = current;
    this.proofs = new MechanismProofs(id, object, publicKey, config);
  }

  static TokenObject hmacKey(byte[] rootKeyId) {
    return TokenObject.byLabel(Ck.CKO_SECRET_KEY, Ck.CKK_GENERIC_SECRET, companionLabel(rootKeyId));
  }

  void requireKeptInside() {
    TokenKeys.requireKeptInside(keyProtection, object.toString(), config);
  }

  byte[] id() {
    return id.clone();
  }

  @Nullable String labelOrNull() {
    return label.isEmpty() ? null : label;
  }

  /**
   * Finds another version of this key: same label, that id.
   *
   * @return null if there is none
   */
  @Nullable TokenRootKey findVersion(TokenSession session, byte[] otherId) {
    TokenRootKey found =
        label.isEmpty()
            ? null
            : RootKeySearch.version(session, config, label, otherId, /* current= */ this);
    if (found == null) {
      // A token that lost its storage has no keys at all; then that is what is wrong.
      object.requirePresent(session);
    }
    return found;
  }

  KeyProtection keyProtection() {
    return keyProtection;
  }

  Pkcs11KeyInfo describe(TokenSession session) {
    return TokenKeys.describe(session, object.handle(session), config.uri());
  }

  /** Label of the companion key of a root key; its own id is free. */
  static String companionLabel(byte[] rootKeyId) {
    return "sealwax-author-" + HexFormat.of().formatHex(rootKeyId);
  }

  /** As {@link MechanismProofs#negotiate}. */
  WrapMechanism negotiate(TokenSession session, List<WrapMechanism> candidates) {
    return proofs.negotiate(session, candidates);
  }

  /** Wraps a secret; the bytes of the blob. */
  byte[] wrap(
      TokenSession session, WrapMechanism mechanism, byte[] secret, EncryptionContext context) {
    proofs.verify(session);
    Proven with = proofs.prove(session, mechanism);
    return with.wrap().wrap(session, secret, context).encode();
  }

  /**
   * Unwraps a blob.
   *
   * @return the secret, which the caller wipes
   * @throws RootKeyException with {@code INVALID_CIPHERTEXT} if anything at all does not match
   */
  byte[] unwrap(TokenSession session, WrappedBlob blob, EncryptionContext context) {
    proofs.verify(session);
    Proven with = provenFor(session, blob.mechanism());
    byte[] secret;
    try {
      secret = with.wrap().unwrap(session, blob, context);
    } catch (CryptokiException e) {
      secret = openAgain(session, with, blob, context, e);
    }
    if (secret == null) {
      throw invalid();
    }
    return secret;
  }

  /**
   * The mechanism is part of what somebody may have altered, so one that does not work here makes
   * the blob invalid. It is tried once for each login, not for each blob. An RSA key has no other
   * mechanism, so there it is the companion that is missing, not the blob that is bad.
   */
  private Proven provenFor(TokenSession session, WrapMechanism mechanism) {
    if (!proofs.mayUse(mechanism) || refused.get(mechanism) == session.login()) {
      throw invalid();
    }
    try {
      return proofs.prove(session, mechanism);
    } catch (CryptokiException e) {
      if (!MechanismProofs.isUnclear(e.code()) || !anotherWorks(session, mechanism)) {
        throw e;
      }
    } catch (RootKeyException e) {
      throw asOfBlob(session, mechanism, e);
    }
    try {
      return proofs.prove(session, mechanism);
    } catch (CryptokiException e) {
      throw MechanismProofs.isUnclear(e.code()) ? refused(session, mechanism, e) : e;
    } catch (RootKeyException e) {
      throw asOfBlob(session, mechanism, e);
    }
  }

  private RootKeyException asOfBlob(
      TokenSession session, WrapMechanism mechanism, RootKeyException e) {
    if (mechanism.isRsa()
        && e.getCause() instanceof RootKeyException cause
        && cause.reason() == NOT_FOUND) {
      return new RootKeyException(NOT_FOUND, MechanismProofs.detail(e), e);
    }
    return isRefusal(e) ? refused(session, mechanism, e) : e;
  }

  private static boolean isRefusal(RootKeyException e) {
    return e.reason() == UNSUPPORTED
        || (e.getCause() instanceof CryptokiException cause
            && cause.code() == ReturnCode.CKR_KEY_FUNCTION_NOT_PERMITTED);
  }

  private RootKeyException refused(
      TokenSession session, WrapMechanism mechanism, RuntimeException cause) {
    refused.put(mechanism, session.login());
    RootKeyException invalid = invalid();
    invalid.addSuppressed(cause);
    return invalid;
  }

  /**
   * Whether the token works, and only not with this mechanism: otherwise whoever can write wrapped
   * keys could have the module initialized anew by naming a mechanism it lacks. What works with the
   * version that wraps is not lacking.
   */
  private boolean anotherWorks(TokenSession session, WrapMechanism mechanism) {
    TokenRootKey reference = current == null ? this : current;
    return reference.proofs.anotherWorks(session, mechanism);
  }

  /**
   * Finds out what a refusal by the module means. If a second try in a fresh session fails as well,
   * and the known ciphertext still opens, this one is bad.
   */
  private byte @Nullable [] openAgain(
      TokenSession session,
      Proven with,
      WrappedBlob blob,
      EncryptionContext context,
      CryptokiException first) {
    boolean ofCiphertext =
        first.function() == CkFunction.C_Decrypt || first.function() == CkFunction.C_UnwrapKey;
    if (ofCiphertext && first.code().meansBadCiphertext()) {
      return null;
    }
    if (!ofCiphertext || !first.code().mayMeanBadCiphertext()) {
      throw first;
    }
    session.renew();
    try {
      return with.wrap().unwrap(session, blob, context);
    } catch (CryptokiException second) {
      if (second.function() != first.function() || second.code() != first.code()) {
        throw second;
      }
    }
    session.renew();
    if (proofs.opensProbe(session, with)) {
      return null;
    }
    throw first;
  }

  private RootKeyException invalid() {
    return new RootKeyException(
        INVALID_CIPHERTEXT, "wrapped key is not authentic for " + object + " and this context");
  }

  @Override
  public String toString() {
    return object.toString();
  }
}
