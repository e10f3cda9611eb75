package dev.sealwax.kms.pkcs11;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.NOT_FOUND;

import dev.sealwax.kms.vocabulary.RootKeyException;
import java.nio.ByteBuffer;
import java.security.GeneralSecurityException;
import java.security.Signature;
import java.security.interfaces.RSAPublicKey;
import java.util.HexFormat;

/**
 * An RSA signature (PKCS#1 v1.5 with SHA-256) by a second key pair of the token, verified in the
 * JVM. Version 1.5 and not PSS, because every token that knows RSA has it.
 */
record RsaAuthor(TokenObject key, RSAPublicKey publicKey) implements Author {
  private static final String LABEL = "sealwax/pkcs11-root-key/v1/author";

  /** DigestInfo for SHA-256 (RFC 8017 §9.2, note 1). */
  private static final byte[] SHA256_PREFIX =
      HexFormat.of().parseHex("3031300d060960864801650304020105000420");

  @Override
  public byte[] sign(TokenSession session, byte[] digest) {
    byte[] message = WrappedBlob.sha256().digest(message(digest));
    byte[] info =
        ByteBuffer.allocate(SHA256_PREFIX.length + message.length)
            .put(SHA256_PREFIX)
            .put(message)
            .array();
    byte[] signature =
        session.sign(
            new Mechanism.Plain(Ck.CKM_RSA_PKCS),
            key.handle(session),
            info,
            TokenKeys.bytes(publicKey));
    // Found again by its label after each login, it may be another; what that one signs would never
    // open.
    if (!verify(session, digest, signature)) {
      throw new RootKeyException(
          NOT_FOUND,
          session.login().token()
              + " has another key under the label of "
              + key
              + "; put back the"
              + " former one");
    }
    return signature;
  }

  @Override
  public boolean verify(TokenSession session, byte[] digest, byte[] authenticator) {
    if (authenticator.length != TokenKeys.bytes(publicKey)) {
      return false;
    }
    try {
      Signature signature = Signature.getInstance("SHA256withRSA");
      signature.initVerify(publicKey);
      signature.update(message(digest));
      return signature.verify(authenticator);
    } catch (GeneralSecurityException e) {
      return false;
    }
  }

  /** Says what the signature is for, should the key ever sign anything else. */
  private static byte[] message(byte[] digest) {
    byte[] label = WrappedBlob.label(LABEL);
    return ByteBuffer.allocate(label.length + digest.length).put(label).put(digest).array();
  }
}
