package dev.sealwax.kms.pkcs11;

/**
 * A key on a token, as it describes itself.
 *
 * @param uri names it for {@link Pkcs11Config#of}
 * @param label its label; may be empty
 * @param idHex its id in hexadecimal digits; may be empty
 * @param kind what kind of key it is
 * @param bits its size, or 0 if the token does not say
 * @param protection how far the token keeps it to itself
 */
public record Pkcs11KeyInfo(
    String uri, String label, String idHex, Kind kind, int bits, KeyProtection protection) {
  /** What a key can be. */
  public enum Kind {
    AES,
    /** Companion of an AES root key, or somebody else's. */
    GENERIC_SECRET,
    RSA,
    EC,
    EDWARDS,
    OTHER
  }
}
