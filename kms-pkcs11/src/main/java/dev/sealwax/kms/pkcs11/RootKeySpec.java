package dev.sealwax.kms.pkcs11;

/** What kind of root key to create. */
public enum RootKeySpec {
  /** The first choice wherever the token has AES-GCM, AES key wrap, or AES-CBC with HMAC. */
  AES_256(256),
  /** For tokens that offer no more; 112 bits of strength. */
  RSA_2048(2048),
  /** Two RSA key pairs, one to decrypt and one to sign; 128 bits of strength. */
  RSA_3072(3072),
  /** The same, larger. */
  RSA_4096(4096);

  private final int bits;

  RootKeySpec(int bits) {
    this.bits = bits;
  }

  int bits() {
    return bits;
  }

  boolean isRsa() {
    return this != AES_256;
  }
}
