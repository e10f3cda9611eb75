package dev.sealwax.kms.pkcs11;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.ACCESS_DENIED;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.INTERNAL;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.INVALID_CIPHERTEXT;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.NOT_FOUND;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNSUPPORTED;

import dev.sealwax.kms.pkcs11.ReturnCode.Rung;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.RootKeyException;
import dev.sealwax.kms.vocabulary.RootKeyException.Reason;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.security.interfaces.RSAPublicKey;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One version of a root key on a token, with the mechanisms that have been shown to work with it.
 * Safe for any thread.
 *
 * <p>A mechanism is used after a test on the key itself, because lists of mechanisms lie: 32 random
 * bytes go through it and back, and an altered one must be refused. The result of the test is kept:
 * it is the known ciphertext that later tells a bad ciphertext from a bad module, and this key from
 * another that has taken its place.
 */
final class TokenRootKey {
  /** A mechanism that works, and a known result of it. */
  private record Proven(TokenWrap wrap, WrappedBlob probe) {}

  private static final Logger LOG = LoggerFactory.getLogger(TokenRootKey.class);
  private static final SecureRandom RANDOM = new SecureRandom();
  private static final EncryptionContext SELF_TEST = EncryptionContext.of("sealwax", "self-test");

  /** Not secret: it protects nothing, and is only compared. */
  private final byte[] probeSecret = random(SeedCipher.SEED_BYTES);

  private final byte[] id;
  private final String label;
  private final TokenObject object;
  private final KeyProtection keyProtection;
  private final @Nullable RSAPublicKey publicKey;
  private final Pkcs11Config config;

  /** The version that wraps; null if this is it. */
  private final @Nullable TokenRootKey current;

  private volatile @Nullable WrapMechanism negotiated;
  private final Map<WrapMechanism, Proven> proven = new ConcurrentHashMap<>();
  private final Map<WrapMechanism, Login> refused = new ConcurrentHashMap<>();
  private volatile @Nullable Login verified;

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
    this.publicKey = publicKey;
    this.config = config;
    this.current = current;
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

  /**
   * Chooses the first mechanism that works. One that fails with a code some modules have for what
   * they lack is left out if it fails again after another has worked.
   *
   * @throws RootKeyException if none does, with what each failed of
   */
  WrapMechanism negotiate(TokenSession session, List<WrapMechanism> candidates) {
    List<String> failures = new ArrayList<>();
    Map<WrapMechanism, CryptokiException> unclear = new EnumMap<>(WrapMechanism.class);
    RootKeyException last = null;
    for (WrapMechanism candidate : candidates) {
      if (candidate.isRsa() == (publicKey != null)) {
        try {
          prove(session, candidate);
          WrapMechanism chosen = firstLucid(session, unclear, candidate);
          negotiated = chosen;
          return chosen;
        } catch (CryptokiException e) {
          if (!isUnclear(e.code())) {
            throw e;
          }
          unclear.put(candidate, e);
        } catch (RootKeyException e) {
          if (!isVerdict(e.reason())) {
            throw e;
          }
          failures.add(candidate + ": " + detail(e));
          last = last == null || e.reason() == ACCESS_DENIED ? e : last;
        }
      }
    }
    for (CryptokiException failure : unclear.values()) {
      throw failure;
    }
    throw new RootKeyException(
        last == null ? UNSUPPORTED : last.reason(),
        "no mechanism works with " + object + " of " + session.login().token() + ": " + failures,
        last);
  }

  /** Tries once more, in order, what failed without a clear reason before another worked. */
  private WrapMechanism firstLucid(
      TokenSession session, Map<WrapMechanism, CryptokiException> unclear, WrapMechanism working) {
    for (WrapMechanism candidate : unclear.keySet()) {
      try {
        prove(session, candidate);
        return candidate;
      } catch (CryptokiException e) {
        if (!isUnclear(e.code())) {
          throw e;
        }
        LOG.info("{} does not work with {} and is left out: {}", candidate, object, e.getMessage());
      } catch (RootKeyException e) {
        if (!isVerdict(e.reason())) {
          throw e;
        }
        LOG.info("{} does not work with {} and is left out: {}", candidate, object, e.getMessage());
      }
    }
    return working;
  }

  /** A failure within another, without the words that the other starts with. */
  static String detail(RootKeyException e) {
    return String.valueOf(e.getMessage()).replaceFirst("^root key: ", "");
  }

  /** What may be tried with this configuration, in order. */
  static List<WrapMechanism> candidates(Pkcs11Config config) {
    WrapMechanism wanted = config.mechanism();
    List<WrapMechanism> all = wanted != null ? List.of(wanted) : List.of(WrapMechanism.values());
    return all.stream().filter(mechanism -> isAllowed(mechanism, config)).toList();
  }

  private static boolean isAllowed(WrapMechanism mechanism, Pkcs11Config config) {
    return mechanism != WrapMechanism.RSA_OAEP_SHA1 || config.accepts(Concession.OAEP_SHA1);
  }

  private Proven prove(TokenSession session, WrapMechanism mechanism) {
    Proven known = proven.get(mechanism);
    if (known != null) {
      return known;
    }
    if (!mechanism.isRsa()
        && (mechanism == WrapMechanism.AES_CBC_HMAC) != hmacKey(id).isPresent(session)) {
      throw mechanism != WrapMechanism.AES_CBC_HMAC
          ? new RootKeyException(
              UNSUPPORTED,
              object + " has a companion, and so is for " + WrapMechanism.AES_CBC_HMAC + " only")
          : withoutCompanion(hmacKey(id), null);
    }
    RootKeyException failure = null;
    CryptokiException unclear = null;
    for (Protection protection : protections(mechanism)) {
      try {
        Proven result = test(session, mechanism, protection);
        if (proven.isEmpty()) {
          verified = session.login();
        }
        proven.put(mechanism, result);
        return result;
      } catch (CryptokiException e) {
        if (isUnclear(e.code())) {
          unclear = e;
        } else if (e.code().rung() != Rung.NONE || !isVerdict(e.code().reason())) {
          throw e;
        }
        failure = e.translated("self-test");
      } catch (RootKeyException e) {
        if (!isVerdict(e.reason())) {
          throw e;
        }
        failure = e;
      }
      if (session.isBroken()) {
        session.renew();
      }
    }
    if (unclear != null) {
      throw unclear;
    }
    throw failure != null
        ? failure
        : new RootKeyException(UNSUPPORTED, mechanism + " is not for this kind of key");
  }

  /** Whether a failed test says something about the mechanism, and not about this moment. */
  private static boolean isVerdict(Reason reason) {
    return reason == UNSUPPORTED || reason == ACCESS_DENIED || reason == INTERNAL;
  }

  /** Whether some modules say this of a mechanism they lack, and others when they fail. */
  private static boolean isUnclear(ReturnCode code) {
    return switch (code) {
      case CKR_GENERAL_ERROR, CKR_FUNCTION_FAILED, CKR_DEVICE_ERROR, CKR_BUFFER_TOO_SMALL, OTHER ->
          true;
      default -> false;
    };
  }

  private List<Protection> protections(WrapMechanism mechanism) {
    return switch (mechanism) {
      case AES_GCM -> List.of(new GcmProtection(object));
      case AES_KWP -> keyWraps(Ck.CKM_AES_KEY_WRAP_KWP);
      case AES_KW -> keyWraps(Ck.CKM_AES_KEY_WRAP);
      case RSA_OAEP_SHA256, RSA_OAEP_SHA1 ->
          publicKey == null
              ? List.of()
              : List.of(
                  new OaepProtection(object, publicKey, mechanism == WrapMechanism.RSA_OAEP_SHA1));
      case AES_CBC_HMAC -> List.of(new CbcProtection(object));
    };
  }

  private List<Protection> keyWraps(long mechanism) {
    return List.of(
        new KeyWrapProtection(object, mechanism),
        new KeyWrapProtection.OfObjects(object, mechanism));
  }

  private Proven test(TokenSession session, WrapMechanism mechanism, Protection protection) {
    Author author = mechanism.needsCompanion() ? findAuthor(session, mechanism) : null;
    TokenWrap wrap = new TokenWrap(mechanism, id, protection, author);
    Proven result = new Proven(wrap, decoded(wrap.wrap(session, probeSecret, SELF_TEST)));
    if (!opensProbe(session, result)) {
      throw new RootKeyException(UNSUPPORTED, mechanism + " does not give back what it was given");
    }
    requireRefusal(session, mechanism, result);
    return result;
  }

  private boolean opensProbe(TokenSession session, Proven with) {
    return isProbeSecret(with.wrap.unwrap(session, with.probe, SELF_TEST));
  }

  private boolean isProbeSecret(byte @Nullable [] secret) {
    return secret != null && MessageDigest.isEqual(secret, probeSecret);
  }

  /** As a reader will find it. */
  private static WrappedBlob decoded(WrappedBlob blob) {
    WrappedBlob decoded = WrappedBlob.decode(blob.encode());
    if (decoded == null) {
      throw new RootKeyException(
          UNSUPPORTED, "the mechanism gives results of an unexpected length");
    }
    return decoded;
  }

  /** Never trust a lock that was only tried with the right key. */
  private void requireRefusal(TokenSession session, WrapMechanism mechanism, Proven result) {
    if (mechanism.needsCompanion()) {
      return;
    }
    byte[] binding = WrappedBlob.binding(mechanism, id, SELF_TEST);
    byte[] altered = result.probe.protectedPart().clone();
    if (mechanism == WrapMechanism.AES_GCM) {
      binding[0] ^= 1;
    } else {
      altered[altered.length - 1] ^= 1;
    }
    CryptokiException refusal = refusal(session, result, altered, binding);
    if (!refusal.code().meansBadCiphertext()) {
      // One fault of the moment is no refusal.
      CryptokiException again = refusal(session, result, altered, binding);
      if (again.code() != refusal.code()) {
        throw again;
      }
    }
  }

  /** Lets the token refuse what was altered, and then open what was not. */
  private CryptokiException refusal(
      TokenSession session, Proven result, byte[] altered, byte[] binding) {
    try {
      Arrays.fill(result.wrap.protection().recover(session, altered, binding), (byte) 0);
    } catch (CryptokiException e) {
      if (!mayBeOfCiphertext(e)) {
        throw e;
      }
      session.renew();
      // Refused because it was altered, and not because everything is refused at the moment.
      if (!opensProbe(session, result)) {
        throw e;
      }
      return e;
    }
    throw new RootKeyException(
        UNSUPPORTED,
        result.wrap.mechanism() + " of this token accepts what was altered, and must not be used");
  }

  private Author findAuthor(TokenSession session, WrapMechanism mechanism) {
    if (mechanism.isRsa()) {
      TokenObject key = TokenObject.byLabel(Ck.CKO_PRIVATE_KEY, Ck.CKK_RSA, companionLabel(id));
      long handle = handleOfCompanion(session, key);
      return new RsaAuthor(key, TokenKeys.rsaPublicKey(session, handle, key));
    }
    TokenObject key = hmacKey(id);
    handleOfCompanion(session, key);
    return new HmacAuthor(key);
  }

  private long handleOfCompanion(TokenSession session, TokenObject key) {
    try {
      long handle = key.handle(session);
      TokenKeys.requireKeptInside(TokenKeys.protection(session, handle), key.toString(), config);
      return handle;
    } catch (RootKeyException e) {
      if (e.reason() != NOT_FOUND) {
        throw e;
      }
      throw withoutCompanion(key, e);
    }
  }

  private RootKeyException withoutCompanion(TokenObject key, @Nullable RootKeyException cause) {
    return new RootKeyException(
        UNSUPPORTED,
        object
            + " needs a companion, "
            + key
            + ", that signs what it protects; without it anybody"
            + " could make a wrapped key. Create it, or create a root key that brings its own",
        cause);
  }

  /** Wraps a secret; the bytes of the blob. */
  byte[] wrap(
      TokenSession session, WrapMechanism mechanism, byte[] secret, EncryptionContext context) {
    verify(session);
    Proven with = prove(session, mechanism);
    return with.wrap.wrap(session, secret, context).encode();
  }

  /**
   * Unwraps a blob.
   *
   * @return the secret, which the caller wipes
   * @throws RootKeyException with {@code INVALID_CIPHERTEXT} if anything at all does not match
   */
  byte[] unwrap(TokenSession session, WrappedBlob blob, EncryptionContext context) {
    verify(session);
    Proven with = provenFor(session, blob.mechanism());
    byte[] secret;
    try {
      secret = with.wrap.unwrap(session, blob, context);
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
    if (mechanism.isRsa() != (publicKey != null)
        || !isAllowed(mechanism, config)
        || refused.get(mechanism) == session.login()) {
      throw invalid();
    }
    try {
      return prove(session, mechanism);
    } catch (CryptokiException e) {
      if (!isUnclear(e.code()) || !anotherWorks(session, mechanism)) {
        throw e;
      }
    } catch (RootKeyException e) {
      throw asOfBlob(session, mechanism, e);
    }
    try {
      return prove(session, mechanism);
    } catch (CryptokiException e) {
      throw isUnclear(e.code()) ? refused(session, mechanism, e) : e;
    } catch (RootKeyException e) {
      throw asOfBlob(session, mechanism, e);
    }
  }

  private RootKeyException asOfBlob(
      TokenSession session, WrapMechanism mechanism, RootKeyException e) {
    if (mechanism.isRsa()
        && e.getCause() instanceof RootKeyException cause
        && cause.reason() == NOT_FOUND) {
      return new RootKeyException(NOT_FOUND, detail(e), e);
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
    WrapMechanism working = reference.negotiated;
    if (working == null || working == mechanism) {
      return false;
    }
    Proven with = reference.prove(session, working);
    WrappedBlob blob = with.wrap.wrap(session, reference.probeSecret, SELF_TEST);
    return reference.isProbeSecret(with.wrap.unwrap(session, blob, SELF_TEST));
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
      return with.wrap.unwrap(session, blob, context);
    } catch (CryptokiException second) {
      if (second.function() != first.function() || second.code() != first.code()) {
        throw second;
      }
    }
    session.renew();
    if (opensProbe(session, with)) {
      return null;
    }
    throw first;
  }

  /**
   * Makes sure, once for each login, that this is still the key it was: a wrap under a key that
   * took its place would never open again. With every mechanism there is a result of, because one
   * that was tried for the first time after the change would say nothing.
   */
  private void verify(TokenSession session) {
    if (verified == session.login() || proven.isEmpty()) {
      return;
    }
    for (Map.Entry<WrapMechanism, Proven> known : proven.entrySet()) {
      verify(session, known.getKey(), known.getValue());
    }
    verified = session.login();
  }

  private void verify(TokenSession session, WrapMechanism mechanism, Proven with) {
    CryptokiException failure = null;
    try {
      if (opensProbe(session, with)) {
        return;
      }
    } catch (CryptokiException e) {
      if (!mayBeOfCiphertext(e)) {
        throw e;
      }
      failure = e;
      session.renew();
    }
    // Another key, or a module that fails? A fresh round trip fails in the latter case only.
    test(session, mechanism, with.wrap.protection());
    // It works now; what failed a moment ago may, too.
    if (opensProbeOrRefuses(session, with)) {
      return;
    }
    throw new RootKeyException(
        NOT_FOUND,
        session.login().token()
            + " has another key under the id of "
            + object
            + "; what the former one wrapped needs the former one",
        failure);
  }

  private boolean opensProbeOrRefuses(TokenSession session, Proven with) {
    try {
      return opensProbe(session, with);
    } catch (CryptokiException e) {
      if (!mayBeOfCiphertext(e)) {
        throw e;
      }
      session.renew();
      return false;
    }
  }

  private static boolean mayBeOfCiphertext(CryptokiException e) {
    boolean ofCiphertext =
        e.function() == CkFunction.C_Decrypt || e.function() == CkFunction.C_UnwrapKey;
    return ofCiphertext && (e.code().meansBadCiphertext() || e.code().mayMeanBadCiphertext());
  }

  private RootKeyException invalid() {
    return new RootKeyException(
        INVALID_CIPHERTEXT, "wrapped key is not authentic for " + object + " and this context");
  }

  private static byte[] random(int length) {
    byte[] bytes = new byte[length];
    RANDOM.nextBytes(bytes);
    return bytes;
  }

  @Override
  public String toString() {
    return object.toString();
  }
}
