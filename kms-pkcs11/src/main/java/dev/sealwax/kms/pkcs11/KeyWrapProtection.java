package dev.sealwax.kms.pkcs11;

import java.util.Arrays;

/** AES key wrap of a seed by {@code C_Encrypt} and {@code C_Decrypt}. */
record KeyWrapProtection(TokenObject key, long mechanism) implements Protection {
  private static final int ROOM = SeedCipher.SEED_BYTES + 32;

  @Override
  public byte[] protect(TokenSession session, byte[] secret, byte[] binding) {
    return session.encrypt(new Mechanism.Plain(mechanism), key.handle(session), secret, ROOM);
  }

  @Override
  public byte[] recover(TokenSession session, byte[] protectedPart, byte[] binding) {
    return session.decrypt(
        new Mechanism.Plain(mechanism), key.handle(session), protectedPart, ROOM);
  }

  /**
   * The same bytes by {@code C_WrapKey} and {@code C_UnwrapKey}, for modules that have the
   * mechanism for keys only: the seed becomes a key of the session for a moment.
   */
  record OfObjects(TokenObject key, long mechanism) implements Protection {
    @Override
    public byte[] protect(TokenSession session, byte[] secret, byte[] binding) {
      Template template = seedTemplate().bytes(Ck.CKA_VALUE, secret.clone());
      long wrappingKey = key.handle(session);
      long seed;
      try {
        seed = session.createObject(template);
      } finally {
        Arrays.fill(template.attributes().get(template.attributes().size() - 1).value(), (byte) 0);
      }
      byte[] wrapped = session.wrapKey(new Mechanism.Plain(mechanism), wrappingKey, seed, ROOM);
      session.destroyObject(seed);
      return wrapped;
    }

    @Override
    public byte[] recover(TokenSession session, byte[] protectedPart, byte[] binding) {
      long seed =
          session.unwrapKey(
              new Mechanism.Plain(mechanism), key.handle(session), protectedPart, seedTemplate());
      byte[] value = session.attribute(seed, Ck.CKA_VALUE);
      boolean destroyed = false;
      try {
        session.destroyObject(seed);
        destroyed = true;
      } finally {
        if (!destroyed && value != null) {
          Arrays.fill(value, (byte) 0);
        }
      }
      if (value == null) {
        throw new CryptokiException(
            CkFunction.C_GetAttributeValue, ReturnCode.CKR_ATTRIBUTE_SENSITIVE.code());
      }
      return value;
    }

    /** A key that lives as long as its session and may be read, because it is a seed. */
    private static Template seedTemplate() {
      return new Template()
          .number(Ck.CKA_CLASS, Ck.CKO_SECRET_KEY)
          .number(Ck.CKA_KEY_TYPE, Ck.CKK_GENERIC_SECRET)
          .flag(Ck.CKA_TOKEN, false)
          .flag(Ck.CKA_PRIVATE, false)
          .flag(Ck.CKA_SENSITIVE, false)
          .flag(Ck.CKA_EXTRACTABLE, true);
    }
  }
}
