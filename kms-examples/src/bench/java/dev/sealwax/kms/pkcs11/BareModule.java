package dev.sealwax.kms.pkcs11;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.SecureRandom;

/**
 * The binding of this package without pool, ladder and checks: what the module itself can do. Works
 * beside a {@link Pkcs11RootKey} that is logged in to the token. For one thread.
 */
public final class BareModule implements AutoCloseable {
  private final Cryptoki cryptoki;
  private final long session;
  private final long key;
  private final byte[] iv = new byte[Mechanism.Gcm.IV_BYTES];
  private final byte[] associatedData = new byte[64];
  private final byte[] sealed;

  private BareModule(Cryptoki cryptoki, long slot, String label) {
    this.cryptoki = cryptoki;
    this.session = cryptoki.openSession(slot, false);
    Template template =
        new Template()
            .number(Ck.CKA_CLASS, Ck.CKO_SECRET_KEY)
            .bytes(Ck.CKA_LABEL, label.getBytes(StandardCharsets.UTF_8));
    this.key = cryptoki.find(session, template, 1)[0];
    new SecureRandom().nextBytes(iv);
    Mechanism.Gcm mechanism = new Mechanism.Gcm(iv, associatedData);
    this.sealed = cryptoki.encrypt(session, mechanism, key, new byte[64], 128);
  }

  /** Takes the token of that index in the module's list, and the secret key of that label. */
  public static BareModule open(Path module, int slotListIndex, String label) {
    Cryptoki cryptoki = NativeCryptoki.load(module);
    return new BareModule(cryptoki, cryptoki.slots()[slotListIndex], label);
  }

  /** Decrypts 64 bytes by AES-GCM. */
  public byte[] unwrap() {
    return cryptoki.decrypt(
        session, new Mechanism.Gcm(iv, associatedData), key, sealed, sealed.length);
  }

  @Override
  public void close() {
    cryptoki.closeSession(session);
  }
}
