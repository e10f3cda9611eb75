package dev.sealwax.kms.pkcs11;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNSUPPORTED;

import dev.sealwax.kms.rootkey.SignatureAlgorithm;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.nio.ByteBuffer;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PublicKey;
import java.security.spec.X509EncodedKeySpec;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;

/**
 * Elliptic curves as PKCS#11 names them, and their public keys as the JDK reads them. Stateless.
 *
 * <p>Both sides use DER, so a public key is a constant prefix (SubjectPublicKeyInfo of RFC 5480 and
 * RFC 8410 up to the key) and the point.
 */
enum NamedCurve {
  P256("06082a8648ce3d030107", "3059301306072a8648ce3d020106082a8648ce3d030107034200", 65),
  P384("06052b81040022", "3076301006072a8648ce3d020106052b81040022036200", 97),
  ED25519("06032b6570", "302a300506032b6570032100", 32);

  /** The curve's name as text, which PKCS#11 3.0 allows and SoftHSM asks for. */
  private static final String EDWARDS_NAME = "130c656477617264733235353139";

  private static final int OCTET_STRING = 0x04;

  private final String parameters;
  private final String prefix;
  private final int pointBytes;

  NamedCurve(String parameters, String prefix, int pointBytes) {
    this.parameters = parameters;
    this.prefix = prefix;
    this.pointBytes = pointBytes;
  }

  /** The forms of {@code CKA_EC_PARAMS} that name this curve. */
  List<byte[]> parameters() {
    byte[] oid = HexFormat.of().parseHex(parameters);
    return this == ED25519 ? List.of(HexFormat.of().parseHex(EDWARDS_NAME), oid) : List.of(oid);
  }

  static NamedCurve of(SignatureAlgorithm algorithm) {
    return switch (algorithm) {
      case ECDSA_P256_SHA256 -> P256;
      case ECDSA_P384_SHA384 -> P384;
      case ED25519 -> ED25519;
      case RSA_PSS_SHA256 -> throw new IllegalArgumentException("RSA has no curve");
    };
  }

  /**
   * Reads {@code CKA_EC_POINT}, which is an OCTET STRING around the point, or with some modules the
   * point alone.
   *
   * @throws RootKeyException with {@code UNSUPPORTED} if it is neither, or not on the curve
   */
  PublicKey read(byte[] value) {
    byte[] point = value;
    if (value.length == pointBytes + 2
        && value[0] == OCTET_STRING
        && (value[1] & 0xff) == pointBytes) {
      point = Arrays.copyOfRange(value, 2, value.length);
    }
    if (point.length != pointBytes) {
      throw new RootKeyException(
          UNSUPPORTED, "the token gives a public key of " + value.length + " bytes for " + this);
    }
    byte[] start = HexFormat.of().parseHex(prefix);
    byte[] encoded = ByteBuffer.allocate(start.length + pointBytes).put(start).put(point).array();
    try {
      return KeyFactory.getInstance(this == ED25519 ? "Ed25519" : "EC")
          .generatePublic(new X509EncodedKeySpec(encoded));
    } catch (GeneralSecurityException e) {
      throw new RootKeyException(UNSUPPORTED, "the token gives no public key for " + this, e);
    }
  }
}
