package dev.sealwax.kms.pkcs11;

import java.nio.ByteBuffer;
import java.security.SecureRandom;
import java.util.Arrays;

/** AES-GCM in the token: IV, ciphertext and tag (pkcs11-root-key-v1 §4). */
record GcmProtection(TokenObject key) implements Protection {
  private static final SecureRandom RANDOM = new SecureRandom();
  private static final int IV = Mechanism.Gcm.IV_BYTES;
  private static final int TAG = Mechanism.Gcm.TAG_BYTES;

  @Override
  public byte[] protect(TokenSession session, byte[] secret, byte[] binding) {
    byte[] iv = new byte[IV];
    RANDOM.nextBytes(iv);
    Mechanism.Gcm mechanism = new Mechanism.Gcm(iv, binding);
    byte[] sealed =
        session.encrypt(mechanism, key.handle(session), secret, secret.length + 4 * TAG);
    if (sealed.length != secret.length + TAG) {
      throw new CryptokiException(CkFunction.C_Encrypt, ReturnCode.CKR_DATA_LEN_RANGE.code());
    }
    // The IV after the call: a module may have put its own in its place.
    return ByteBuffer.allocate(IV + sealed.length).put(mechanism.iv()).put(sealed).array();
  }

  @Override
  public byte[] recover(TokenSession session, byte[] protectedPart, byte[] binding) {
    byte[] iv = Arrays.copyOf(protectedPart, IV);
    byte[] sealed = Arrays.copyOfRange(protectedPart, IV, protectedPart.length);
    // Room for the tag as well: some modules count it until they have verified it.
    return session.decrypt(
        new Mechanism.Gcm(iv, binding), key.handle(session), sealed, sealed.length);
  }
}
