package dev.sealwax.kms.pkcs11;

import static dev.sealwax.kms.pkcs11.WrapMechanism.AES_CBC_HMAC;
import static dev.sealwax.kms.pkcs11.WrapMechanism.AES_GCM;
import static dev.sealwax.kms.pkcs11.WrapMechanism.AES_KW;
import static dev.sealwax.kms.pkcs11.WrapMechanism.AES_KWP;
import static dev.sealwax.kms.pkcs11.WrapMechanism.RSA_OAEP_SHA1;
import static dev.sealwax.kms.pkcs11.WrapMechanism.RSA_OAEP_SHA256;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.INTERNAL;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNSUPPORTED;

import dev.sealwax.kms.rootkey.SignatureAlgorithm;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Makes keys on a token, with no more uses than their mechanism needs: a key that decrypts and also
 * wraps others would let anybody with the PIN read every key that may be wrapped. Safe for any
 * thread.
 */
final class KeyMaker {
  private static final Logger LOG = LoggerFactory.getLogger(KeyMaker.class);
  private static final SecureRandom RANDOM = new SecureRandom();

  private static final int ID_BYTES = 16;
  private static final byte[] EXPONENT = {1, 0, 1}; // 65537
  private static final int SIGNING_RSA_BITS = 3072;

  /** A way to make an AES key, and what may then work with it. */
  private enum Use {
    ENCRYPTS,
    WRAPS,
    /** Last, and with a companion key. */
    ENCRYPTS_WITH_COMPANION;

    List<WrapMechanism> mechanisms() {
      return switch (this) {
        case ENCRYPTS -> List.of(AES_GCM, AES_KWP, AES_KW);
        case WRAPS -> List.of(AES_KWP, AES_KW);
        case ENCRYPTS_WITH_COMPANION -> List.of(AES_CBC_HMAC);
      };
    }
  }

  /** How far a call is that makes a key. */
  private enum Making {
    NOT_BEGUN,
    BEGUN,
    /** Its caller has gone. */
    LEFT,
    ENDED
  }

  private final TokenConnection connection;

  KeyMaker(TokenConnection connection) {
    this.connection = connection;
  }

  Pkcs11KeyInfo makeRootKey(String label, RootKeySpec spec) {
    List<WrapMechanism> allowed = MechanismProofs.candidates(connection.config());
    Pkcs11KeyInfo made =
        spec.isRsa() ? makeRsa(label, spec, allowed) : makeAes(label, spec, allowed);
    LOG.info(
        "created root key {} on {}, {} {}",
        made.uri(),
        connection.token(),
        spec,
        made.protection());
    return made;
  }

  private Pkcs11KeyInfo makeAes(String label, RootKeySpec spec, List<WrapMechanism> allowed) {
    List<RootKeyException> failures = new ArrayList<>();
    for (Use use : Use.values()) {
      List<WrapMechanism> mechanisms = use.mechanisms().stream().filter(allowed::contains).toList();
      if (mechanisms.isEmpty()) {
        continue;
      }
      byte[] id = freshId();
      byte[] companion = use == Use.ENCRYPTS_WITH_COMPANION ? freshId() : null;
      try {
        if (companion != null) {
          generate(
              Ck.CKM_GENERIC_SECRET_KEY_GEN,
              companion,
              hmacTemplate(id, companion),
              Ck.CKA_ENCRYPT,
              Ck.CKA_DECRYPT,
              Ck.CKA_WRAP,
              Ck.CKA_UNWRAP,
              Ck.CKA_DERIVE);
        }
        generate(Ck.CKM_AES_KEY_GEN, id, aesTemplate(label, id, spec, use), Ck.CKA_DERIVE);
        return test(label, id, mechanisms);
      } catch (RuntimeException e) {
        destroy(id);
        if (companion != null) {
          destroy(companion);
        }
        failures.add(verdict(e));
      }
    }
    throw unsupported(label, failures);
  }

  private Pkcs11KeyInfo makeRsa(String label, RootKeySpec spec, List<WrapMechanism> allowed) {
    List<WrapMechanism> mechanisms =
        List.of(RSA_OAEP_SHA256, RSA_OAEP_SHA1).stream().filter(allowed::contains).toList();
    byte[] id = freshId();
    byte[] companion = freshId();
    try {
      // The companion first: a root key is never there without what authenticates it.
      makeRsaPair(TokenRootKey.companionLabel(id), companion, spec.bits(), Ck.CKA_SIGN);
      makeRsaPair(label, id, spec.bits(), Ck.CKA_DECRYPT);
      return test(label, id, mechanisms);
    } catch (RuntimeException e) {
      destroy(id);
      destroy(companion);
      throw unsupported(label, List.of(verdict(e)));
    }
  }

  /** The failure if it says something about the way the key was made; throws any other. */
  private static RootKeyException verdict(RuntimeException failure) {
    if (failure instanceof RootKeyException e && !e.reason().isRetryable()) {
      return e;
    }
    throw failure;
  }

  private RootKeyException unsupported(String label, List<RootKeyException> failures) {
    RootKeyException first =
        failures.isEmpty()
            ? new RootKeyException(UNSUPPORTED, "no mechanism is allowed for this kind of key")
            : failures.get(0);
    RootKeyException refused =
        new RootKeyException(
            first.reason(),
            "no root key '"
                + label
                + "' was created on "
                + connection.token()
                + "; "
                + failures.stream().map(MechanismProofs::detail).toList(),
            first);
    failures.stream().skip(1).forEach(refused::addSuppressed);
    return refused;
  }

  private Pkcs11KeyInfo test(String label, byte[] id, List<WrapMechanism> mechanisms) {
    Pkcs11Config config = connection.config().withKey(label, id);
    return connection.call(
        "test new root key",
        session -> {
          TokenRootKey key = RootKeySearch.named(session, config);
          key.negotiate(session, mechanisms);
          return key.describe(session);
        });
  }

  /** An id that no object of the token has: NSS replaces a key by the next with the same id. */
  private byte[] freshId() {
    byte[] id = new byte[ID_BYTES];
    RANDOM.nextBytes(id);
    long[] taken =
        connection.call(
            "look for id", session -> session.find(new Template().bytes(Ck.CKA_ID, id), 1));
    if (taken.length > 0) {
      throw new RootKeyException(
          INTERNAL, connection.token() + " claims to have a key under an id drawn at random");
    }
    return id;
  }

  private void generate(long mechanism, byte[] id, Template template, long... denied) {
    Mechanism.Plain plain = new Mechanism.Plain(mechanism);
    Template strict = template.without(denied);
    sparingly(
        () -> make("generate key", id, session -> session.generateKey(plain, strict)),
        () -> make("generate key", id, session -> session.generateKey(plain, template)));
  }

  /** With every use denied that the key does not need; or without, where a token knows no such. */
  private static void sparingly(Runnable strict, Runnable lenient) {
    try {
      strict.run();
    } catch (RootKeyException e) {
      if (!(e.getCause() instanceof CryptokiException cause)
          || !cause.code().meansUnwantedAttribute()) {
        throw e;
      }
      LOG.debug("a token does not let every use of a key be denied", e);
      lenient.run();
    }
  }

  /** Makes a key, and destroys it if it comes when nobody waits for it any more. */
  private void make(String doing, byte[] id, TokenConnection.Work<Long> generation) {
    AtomicReference<Making> making = new AtomicReference<>(Making.NOT_BEGUN);
    try {
      connection.callOnce(
          doing,
          session -> {
            if (!making.compareAndSet(Making.NOT_BEGUN, Making.BEGUN)) {
              return 0;
            }
            boolean made = false;
            try {
              generation.with(session);
              made = true;
            } finally {
              if (making.getAndSet(Making.ENDED) == Making.LEFT && made) {
                destroyLate(session, id);
              }
            }
            return 1;
          });
    } catch (RuntimeException e) {
      if (making.getAndSet(Making.LEFT) == Making.BEGUN) {
        LOG.warn(
            "{} may yet make a key under id {}, which is destroyed at once if this process still"
                + " runs; otherwise destroy it",
            connection.token(),
            Pkcs11Uri.escape(id));
      }
      throw e;
    }
  }

  private void destroyLate(TokenSession session, byte[] id) {
    try {
      destroy(session, id);
      LOG.info("destroyed key {}, which came too late", Pkcs11Uri.escape(id));
    } catch (RuntimeException e) {
      reportLeft(id, e);
    }
  }

  private static Template aesTemplate(String label, byte[] id, RootKeySpec spec, Use use) {
    boolean encrypts = use != Use.WRAPS;
    return insideTemplate(Ck.CKO_SECRET_KEY, Ck.CKK_AES, label, id)
        .number(Ck.CKA_VALUE_LEN, spec.bits() / 8)
        .flag(Ck.CKA_ENCRYPT, encrypts)
        .flag(Ck.CKA_DECRYPT, encrypts)
        .flag(Ck.CKA_WRAP, !encrypts)
        .flag(Ck.CKA_UNWRAP, !encrypts)
        .flag(Ck.CKA_SIGN, false)
        .flag(Ck.CKA_VERIFY, false);
  }

  private static Template hmacTemplate(byte[] rootKeyId, byte[] id) {
    String label = TokenRootKey.companionLabel(rootKeyId);
    return insideTemplate(Ck.CKO_SECRET_KEY, Ck.CKK_GENERIC_SECRET, label, id)
        .number(Ck.CKA_VALUE_LEN, HmacAuthor.MAC_BYTES)
        .flag(Ck.CKA_SIGN, true)
        .flag(Ck.CKA_VERIFY, true);
  }

  private static Template insideTemplate(long objectClass, long keyType, String label, byte[] id) {
    return new Template()
        .number(Ck.CKA_CLASS, objectClass)
        .number(Ck.CKA_KEY_TYPE, keyType)
        .flag(Ck.CKA_TOKEN, true)
        .flag(Ck.CKA_PRIVATE, true)
        .flag(Ck.CKA_SENSITIVE, true)
        .flag(Ck.CKA_EXTRACTABLE, false)
        .text(Ck.CKA_LABEL, label)
        .bytes(Ck.CKA_ID, id);
  }

  private void makeRsaPair(String label, byte[] id, int bits, long use) {
    boolean signs = use == Ck.CKA_SIGN;
    Template publicKey =
        publicTemplate(Ck.CKK_RSA, label, id)
            .flag(Ck.CKA_VERIFY, signs)
            .flag(Ck.CKA_ENCRYPT, !signs)
            .number(Ck.CKA_MODULUS_BITS, bits)
            .bytes(Ck.CKA_PUBLIC_EXPONENT, EXPONENT);
    Template privateKey =
        insideTemplate(Ck.CKO_PRIVATE_KEY, Ck.CKK_RSA, label, id)
            .flag(Ck.CKA_SIGN, signs)
            .flag(Ck.CKA_DECRYPT, !signs)
            .flag(Ck.CKA_UNWRAP, false);
    generatePair(Ck.CKM_RSA_PKCS_KEY_PAIR_GEN, id, publicKey, privateKey);
  }

  private static Template publicTemplate(long keyType, String label, byte[] id) {
    return new Template()
        .number(Ck.CKA_CLASS, Ck.CKO_PUBLIC_KEY)
        .number(Ck.CKA_KEY_TYPE, keyType)
        .flag(Ck.CKA_TOKEN, true)
        .text(Ck.CKA_LABEL, label)
        .bytes(Ck.CKA_ID, id);
  }

  private void generatePair(long mechanism, byte[] id, Template publicKey, Template privateKey) {
    Template strictPublic = publicKey.without(Ck.CKA_WRAP, Ck.CKA_DERIVE);
    Template strictPrivate = privateKey.without(Ck.CKA_SIGN_RECOVER, Ck.CKA_DERIVE);
    sparingly(
        () -> makePair(mechanism, id, strictPublic, strictPrivate),
        () -> makePair(mechanism, id, publicKey, privateKey));
  }

  private void makePair(long mechanism, byte[] id, Template publicKey, Template privateKey) {
    make(
        "generate key pair",
        id,
        session -> session.generateKeyPair(new Mechanism.Plain(mechanism), publicKey, privateKey));
  }

  Pkcs11KeyInfo makeSigningKey(String label, SignatureAlgorithm algorithm) {
    byte[] id = freshId();
    try {
      if (algorithm == SignatureAlgorithm.RSA_PSS_SHA256) {
        makeRsaPair(label, id, SIGNING_RSA_BITS, Ck.CKA_SIGN);
      } else {
        makeCurvePair(label, id, algorithm);
      }
      TokenSigningKey.open(connection, label);
      Pkcs11KeyInfo made = describe(id);
      LOG.info("created signing key {} on {}, {}", made.uri(), connection.token(), algorithm);
      return made;
    } catch (RuntimeException e) {
      destroy(id);
      throw e;
    }
  }

  private void makeCurvePair(String label, byte[] id, SignatureAlgorithm algorithm) {
    boolean edwards = algorithm == SignatureAlgorithm.ED25519;
    long keyType = edwards ? Ck.CKK_EC_EDWARDS : Ck.CKK_EC;
    long mechanism = edwards ? Ck.CKM_EC_EDWARDS_KEY_PAIR_GEN : Ck.CKM_EC_KEY_PAIR_GEN;
    RootKeyException failure = null;
    for (byte[] parameters : NamedCurve.of(algorithm).parameters()) {
      try {
        generatePair(
            mechanism,
            id,
            publicTemplate(keyType, label, id)
                .flag(Ck.CKA_VERIFY, true)
                .bytes(Ck.CKA_EC_PARAMS, parameters),
            insideTemplate(Ck.CKO_PRIVATE_KEY, keyType, label, id).flag(Ck.CKA_SIGN, true));
        return;
      } catch (RootKeyException e) {
        if (e.reason().isRetryable()) {
          throw e;
        }
        // The next form of the same curve, if there is one.
        failure = e;
      }
    }
    throw failure != null ? failure : new IllegalStateException("a curve without a form");
  }

  private Pkcs11KeyInfo describe(byte[] id) {
    return connection.call(
        "describe new key",
        session -> {
          Template template =
              new Template()
                  .number(Ck.CKA_CLASS, Ck.CKO_PRIVATE_KEY)
                  .flag(Ck.CKA_PRIVATE, true)
                  .bytes(Ck.CKA_ID, id);
          long[] handles = session.find(template, 1);
          if (handles.length != 1) {
            throw new RootKeyException(INTERNAL, "the token lost a key it has just made");
          }
          return TokenKeys.describe(session, handles[0], connection.config().uri());
        });
  }

  /** Takes back what was made a moment ago; a key that is left over after a failure is reported. */
  private void destroy(byte[] id) {
    try {
      connection.callOnce("destroy key that does not serve", session -> destroy(session, id));
    } catch (RuntimeException e) {
      reportLeft(id, e);
    }
  }

  private static int destroy(TokenSession session, byte[] id) {
    long[] handles = session.find(new Template().bytes(Ck.CKA_ID, id), 4);
    for (long handle : handles) {
      session.destroyObject(handle);
    }
    return handles.length;
  }

  private void reportLeft(byte[] id, RuntimeException cause) {
    LOG.warn(
        "a new key that does not serve is left on {} under id {}; destroy it",
        connection.token(),
        Pkcs11Uri.escape(id),
        cause);
  }
}
