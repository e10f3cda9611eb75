package dev.sealwax.kms.rootkey;

/** How a {@link SigningKey} signs; a closed list, each with the JCA name that verifies it. */
public enum SignatureAlgorithm {
  /** ECDSA over P-256 with SHA-256; the signature is DER. */
  ECDSA_P256_SHA256("SHA256withECDSA"),
  /** ECDSA over P-384 with SHA-384; the signature is DER. */
  ECDSA_P384_SHA384("SHA384withECDSA"),
  /** RSA-PSS with SHA-256, MGF1 with SHA-256 and a salt of 32 bytes. */
  RSA_PSS_SHA256("RSASSA-PSS"),
  /** Ed25519 of RFC 8032, without context or prehash. */
  ED25519("Ed25519");

  private final String jcaName;

  SignatureAlgorithm(String jcaName) {
    this.jcaName = jcaName;
  }

  /** What {@link java.security.Signature#getInstance(String)} takes to verify. */
  public String jcaName() {
    return jcaName;
  }
}
