package dev.sealwax.kms.pkcs11;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.ACCESS_DENIED;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNSUPPORTED;

import dev.sealwax.kms.pkcs11.Pkcs11KeyInfo.Kind;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.interfaces.RSAPublicKey;
import java.security.spec.RSAKeyGenParameterSpec;
import java.security.spec.RSAPublicKeySpec;
import java.util.HexFormat;
import org.jspecify.annotations.Nullable;

/** What key objects say about themselves. Stateless. */
final class TokenKeys {
  private static final int MIN_RSA_BITS = 2048;
  private static final byte[] NONE = {};

  private TokenKeys() {}

  static byte[] id(TokenSession session, long handle) {
    byte[] id = session.attribute(handle, Ck.CKA_ID);
    return id == null ? NONE : id;
  }

  static String label(TokenSession session, long handle) {
    byte[] label = session.attribute(handle, Ck.CKA_LABEL);
    return label == null ? "" : new String(label, StandardCharsets.UTF_8);
  }

  private static long number(TokenSession session, long handle, long type) {
    byte[] value = session.attribute(handle, type);
    return value == null ? Ck.UNAVAILABLE : Template.decode(value);
  }

  /** Null where the object does not say. */
  private static @Nullable Boolean flag(TokenSession session, long handle, long type) {
    byte[] value = session.attribute(handle, type);
    return (value == null || value.length != 1) ? null : value[0] != 0;
  }

  /** What is not said counts for the worse. */
  static KeyProtection protection(TokenSession session, long handle) {
    if (!Boolean.TRUE.equals(flag(session, handle, Ck.CKA_PRIVATE))
        || !Boolean.TRUE.equals(flag(session, handle, Ck.CKA_SENSITIVE))
        || !Boolean.FALSE.equals(flag(session, handle, Ck.CKA_EXTRACTABLE))) {
      return KeyProtection.EXTRACTABLE;
    }
    boolean neverOutside =
        Boolean.TRUE.equals(flag(session, handle, Ck.CKA_ALWAYS_SENSITIVE))
            && Boolean.TRUE.equals(flag(session, handle, Ck.CKA_NEVER_EXTRACTABLE))
            && Boolean.TRUE.equals(flag(session, handle, Ck.CKA_LOCAL));
    return neverOutside ? KeyProtection.NEVER_OUTSIDE : KeyProtection.KEPT_INSIDE;
  }

  /**
   * Refuses a key that the token would hand out, unless that is accepted.
   *
   * @throws RootKeyException with {@code ACCESS_DENIED}
   */
  static void requireKeptInside(KeyProtection protection, String name, Pkcs11Config config) {
    if (protection == KeyProtection.EXTRACTABLE && !config.accepts(Concession.EXTRACTABLE_KEYS)) {
      throw new RootKeyException(
          ACCESS_DENIED,
          "the token would hand out "
              + name
              + " (extractable, not sensitive, or not private); use another key, or accept"
              + " Concession.EXTRACTABLE_KEYS");
    }
  }

  /**
   * Refuses a key that wants the PIN before each use.
   *
   * @throws RootKeyException with {@code UNSUPPORTED}
   */
  static void requireNoPinForEachUse(TokenSession session, long handle, String name) {
    if (Boolean.TRUE.equals(flag(session, handle, Ck.CKA_ALWAYS_AUTHENTICATE))) {
      throw new RootKeyException(
          UNSUPPORTED,
          name
              + " wants the PIN before each use (CKA_ALWAYS_AUTHENTICATE), which is not supported;"
              + " use another key");
    }
  }

  static Pkcs11KeyInfo describe(TokenSession session, long handle, Pkcs11Uri token) {
    byte[] id = id(session, handle);
    String label = label(session, handle);
    Kind kind = kind(number(session, handle, Ck.CKA_KEY_TYPE));
    return new Pkcs11KeyInfo(
        token.withKey(label.isEmpty() ? null : label, id.length == 0 ? null : id).toString(),
        label,
        HexFormat.of().formatHex(id),
        kind,
        bits(session, handle, kind),
        protection(session, handle));
  }

  private static Kind kind(long keyType) {
    if (keyType == Ck.CKK_AES) {
      return Kind.AES;
    } else if (keyType == Ck.CKK_GENERIC_SECRET) {
      return Kind.GENERIC_SECRET;
    } else if (keyType == Ck.CKK_RSA) {
      return Kind.RSA;
    } else if (keyType == Ck.CKK_EC) {
      return Kind.EC;
    } else if (keyType == Ck.CKK_EC_EDWARDS) {
      return Kind.EDWARDS;
    }
    return Kind.OTHER;
  }

  private static int bits(TokenSession session, long handle, Kind kind) {
    if (kind == Kind.AES || kind == Kind.GENERIC_SECRET) {
      long bytes = number(session, handle, Ck.CKA_VALUE_LEN);
      return bytes < 0 || bytes > Integer.MAX_VALUE / 8 ? 0 : (int) (8 * bytes);
    }
    byte[] modulus = kind == Kind.RSA ? session.attribute(handle, Ck.CKA_MODULUS) : null;
    return modulus == null ? 0 : new BigInteger(1, modulus).bitLength();
  }

  /**
   * The public half of an RSA key, read off the private one: a public object beside it could be
   * anybody's.
   *
   * <p>A private key need not tell the exponent; then it is taken to be 65537, and a test of the
   * key fails if it is not.
   *
   * @throws RootKeyException with {@code UNSUPPORTED} if the object does not tell its modulus, or
   *     has fewer than 2,048 bits
   */
  static RSAPublicKey rsaPublicKey(TokenSession session, long privateKey, TokenObject name) {
    byte[] modulus = session.attribute(privateKey, Ck.CKA_MODULUS);
    byte[] exponent = session.attribute(privateKey, Ck.CKA_PUBLIC_EXPONENT);
    if (modulus == null) {
      throw new RootKeyException(UNSUPPORTED, "the token does not tell the modulus of " + name);
    }
    BigInteger n = new BigInteger(1, modulus);
    BigInteger e =
        exponent == null || exponent.length == 0
            ? RSAKeyGenParameterSpec.F4
            : new BigInteger(1, exponent);
    if (n.bitLength() < MIN_RSA_BITS || e.bitLength() < 2 || !e.testBit(0)) {
      throw new RootKeyException(
          UNSUPPORTED,
          name + " is an RSA key of " + n.bitLength() + " bits; use at least " + MIN_RSA_BITS);
    }
    try {
      return (RSAPublicKey)
          KeyFactory.getInstance("RSA").generatePublic(new RSAPublicKeySpec(n, e));
    } catch (GeneralSecurityException ex) {
      throw new RootKeyException(UNSUPPORTED, "the JDK refuses the public half of " + name, ex);
    }
  }

  /** Length of the modulus, and so of a ciphertext or signature. */
  static int bytes(RSAPublicKey key) {
    return (key.getModulus().bitLength() + 7) / 8;
  }
}
