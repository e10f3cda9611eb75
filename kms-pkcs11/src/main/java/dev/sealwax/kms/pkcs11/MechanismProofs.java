package dev.sealwax.kms.pkcs11;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.ACCESS_DENIED;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.INTERNAL;
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
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The mechanisms that have been shown to work with one key on a token. Safe for any thread.
 *
 * <p>A mechanism is used after a test on the key itself, because lists of mechanisms lie: 32 random
 * bytes go through it and back, and an altered one must be refused. The result of the test is kept:
 * it is the known ciphertext that later tells a bad ciphertext from a bad module, and this key from
 * another that has taken its place.
 */
final class MechanismProofs {
  /** A mechanism that works, and a known result of it. */
  record Proven(TokenWrap wrap, WrappedBlob probe) {}

  private static final Logger LOG = LoggerFactory.getLogger(MechanismProofs.class);
  private static final SecureRandom RANDOM = new SecureRandom();
  private static final EncryptionContext SELF_TEST = EncryptionContext.of("sealwax", "self-test");

  /** Not secret: it protects nothing, and is only compared. */
  private final byte[] probeSecret = random(SeedCipher.SEED_BYTES);

  private final byte[] id;
  private final TokenObject object;
  private final @Nullable RSAPublicKey publicKey;
  private final Pkcs11Config config;

  private volatile @Nullable WrapMechanism negotiated;
  private final Map<WrapMechanism, Proven> proven = new ConcurrentHashMap<>();
  private volatile @Nullable Login verified;

  /** Nothing is proven yet; see {@link TokenRootKey} for the parts. */
  MechanismProofs(
      byte[] id, TokenObject object, @Nullable RSAPublicKey publicKey, Pkcs11Config config) {
    this.id = id;
    this.object = object;
    this.publicKey = publicKey;
    this.config = config;
  }

  /** What may be tried with a configuration, in order. */
  static List<WrapMechanism> candidates(Pkcs11Config config) {
    WrapMechanism wanted = config.mechanism();
    List<WrapMechanism> all = wanted != null ? List.of(wanted) : List.of(WrapMechanism.values());
    return all.stream().filter(mechanism -> isAllowed(mechanism, config)).toList();
  }

  private static boolean isAllowed(WrapMechanism mechanism, Pkcs11Config config) {
    return mechanism != WrapMechanism.RSA_OAEP_SHA1 || config.accepts(Concession.OAEP_SHA1);
  }

  /** Whether it is for this kind of key, and allowed by the configuration. */
  boolean mayUse(WrapMechanism mechanism) {
    return mechanism.isRsa() == (publicKey != null) && isAllowed(mechanism, config);
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

  /**
   * The proof for a mechanism, kept or made now.
   *
   * @throws RootKeyException with {@code UNSUPPORTED}, {@code ACCESS_DENIED} or {@code INTERNAL} if
   *     it does not work, or another reason if the token cannot tell now
   * @throws CryptokiException if it failed in a way that may be of this moment
   */
  Proven prove(TokenSession session, WrapMechanism mechanism) {
    Proven known = proven.get(mechanism);
    if (known != null) {
      return known;
    }
    if (!mechanism.isRsa()
        && (mechanism == WrapMechanism.AES_CBC_HMAC)
            != TokenRootKey.hmacKey(id).isPresent(session)) {
      throw mechanism != WrapMechanism.AES_CBC_HMAC
          ? new RootKeyException(
              UNSUPPORTED,
              object + " has a companion, and so is for " + WrapMechanism.AES_CBC_HMAC + " only")
          : withoutCompanion(TokenRootKey.hmacKey(id), null);
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
  static boolean isUnclear(ReturnCode code) {
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

  /** Whether the known result still opens. */
  boolean opensProbe(TokenSession session, Proven with) {
    return isProbeSecret(with.wrap.unwrap(session, with.probe, SELF_TEST));
  }

  private boolean isProbeSecret(byte @Nullable [] secret) {
    return secret != null && MessageDigest.isEqual(secret, probeSecret);
  }

  /**
   * Whether another mechanism, the negotiated one, works at this moment; false if there is none.
   */
  boolean anotherWorks(TokenSession session, WrapMechanism mechanism) {
    WrapMechanism working = negotiated;
    if (working == null || working == mechanism) {
      return false;
    }
    Proven with = prove(session, working);
    WrappedBlob blob = with.wrap.wrap(session, probeSecret, SELF_TEST);
    return isProbeSecret(with.wrap.unwrap(session, blob, SELF_TEST));
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
      TokenObject key =
          TokenObject.byLabel(Ck.CKO_PRIVATE_KEY, Ck.CKK_RSA, TokenRootKey.companionLabel(id));
      long handle = handleOfCompanion(session, key);
      return new RsaAuthor(key, TokenKeys.rsaPublicKey(session, handle, key));
    }
    TokenObject key = TokenRootKey.hmacKey(id);
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

  /**
   * Makes sure, once for each login, that this is still the key it was: a wrap under a key that
   * took its place would never open again. With every mechanism there is a result of, because one
   * that was tried for the first time after the change would say nothing.
   */
  void verify(TokenSession session) {
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

  private static byte[] random(int length) {
    byte[] bytes = new byte[length];
    RANDOM.nextBytes(bytes);
    return bytes;
  }
}
