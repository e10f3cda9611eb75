package dev.sealwax.kms.pkcs11;

/**
 * A companion key of a root key that tells what the token made from what anybody could have made.
 * Safe for any thread, with a session for each.
 */
interface Author {
  /** Authenticates a digest of 32 bytes. */
  byte[] sign(TokenSession session, byte[] digest);

  /** Whether {@link #sign} made this of the digest. */
  boolean verify(TokenSession session, byte[] digest, byte[] authenticator);
}
