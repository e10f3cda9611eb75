package dev.sealwax.kms.pkcs11;

/**
 * Protects some bytes by a key in the token: the raw mechanism, without format and context (unless
 * the mechanism takes it). Stateless; safe for any thread, with a session for each.
 */
interface Protection {
  /**
   * Protects a secret.
   *
   * @param binding authenticated by mechanisms that can; others leave it to their users
   */
  byte[] protect(TokenSession session, byte[] secret, byte[] binding);

  /**
   * Gives the secret back; the caller wipes it.
   *
   * @throws CryptokiException whatever the module says of a bad one, or of itself
   */
  byte[] recover(TokenSession session, byte[] protectedPart, byte[] binding);
}
