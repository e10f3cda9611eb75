package dev.sealwax.kms.pkcs11;

import java.security.GeneralSecurityException;
import java.security.interfaces.RSAPublicKey;
import java.security.spec.MGF1ParameterSpec;
import javax.crypto.Cipher;
import javax.crypto.spec.OAEPParameterSpec;
import javax.crypto.spec.PSource;

/**
 * RSA-OAEP of a seed: encrypted in the JVM with the public key, decrypted in the token. Anybody can
 * encrypt; that the token made it is said by the companion key.
 */
record OaepProtection(TokenObject key, RSAPublicKey publicKey, boolean sha1) implements Protection {
  @Override
  public byte[] protect(TokenSession session, byte[] secret, byte[] binding) {
    try {
      Cipher cipher = Cipher.getInstance("RSA/ECB/OAEPPadding");
      cipher.init(Cipher.ENCRYPT_MODE, publicKey, parameters());
      return cipher.doFinal(secret);
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("RSA-OAEP failed in the JCE provider", e);
    }
  }

  private OAEPParameterSpec parameters() {
    return sha1
        ? new OAEPParameterSpec("SHA-1", "MGF1", MGF1ParameterSpec.SHA1, PSource.PSpecified.DEFAULT)
        : new OAEPParameterSpec(
            "SHA-256", "MGF1", MGF1ParameterSpec.SHA256, PSource.PSpecified.DEFAULT);
  }

  @Override
  public byte[] recover(TokenSession session, byte[] protectedPart, byte[] binding) {
    Mechanism mechanism =
        sha1
            ? new Mechanism.Oaep(Ck.CKM_SHA_1, Ck.CKG_MGF1_SHA1)
            : new Mechanism.Oaep(Ck.CKM_SHA256, Ck.CKG_MGF1_SHA256);
    // Room for a whole block: modules ask for it before they know how much is padding.
    return session.decrypt(
        mechanism, key.handle(session), protectedPart, TokenKeys.bytes(publicKey));
  }
}
