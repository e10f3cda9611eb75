package dev.sealwax.kms.pkcs11;

import java.security.MessageDigest;

/** HMAC-SHA-256 by a secret key of the token. */
record HmacAuthor(TokenObject key) implements Author {
  static final int MAC_BYTES = 32;

  @Override
  public byte[] sign(TokenSession session, byte[] digest) {
    return session.sign(
        new Mechanism.Plain(Ck.CKM_SHA256_HMAC), key.handle(session), digest, MAC_BYTES);
  }

  @Override
  public boolean verify(TokenSession session, byte[] digest, byte[] authenticator) {
    return MessageDigest.isEqual(sign(session, digest), authenticator);
  }
}
