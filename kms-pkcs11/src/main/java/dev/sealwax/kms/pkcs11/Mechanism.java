package dev.sealwax.kms.pkcs11;

/** A mechanism and its parameter: the variants of {@code CK_MECHANISM} that are used. */
sealed interface Mechanism {
  /** Its {@code CKM_*} number. */
  long type();

  /** A mechanism without parameter. */
  record Plain(long type) implements Mechanism {}

  /** A mechanism whose parameter is an initialization vector. */
  final class WithIv implements Mechanism {
    private final long type;
    private final byte[] iv;

    WithIv(long type, byte[] iv) {
      this.type = type;
      this.iv = iv;
    }

    @Override
    public long type() {
      return type;
    }

    byte[] iv() {
      return iv;
    }
  }

  /**
   * AES-GCM with a 128-bit tag. A module that chooses the IV itself writes it over the one given;
   * {@link #iv} then has what it chose.
   */
  final class Gcm implements Mechanism {
    static final int IV_BYTES = 12;
    static final int TAG_BYTES = 16;

    private final byte[] iv;
    private final byte[] associatedData;

    Gcm(byte[] iv, byte[] associatedData) {
      this.iv = iv;
      this.associatedData = associatedData;
    }

    @Override
    public long type() {
      return Ck.CKM_AES_GCM;
    }

    /** Not a copy. */
    byte[] iv() {
      return iv;
    }

    byte[] associatedData() {
      return associatedData;
    }
  }

  /** RSA-OAEP with an empty label. */
  record Oaep(long hash, long maskGeneration) implements Mechanism {
    @Override
    public long type() {
      return Ck.CKM_RSA_PKCS_OAEP;
    }
  }

  /** RSA-PSS over a digest computed before. */
  record Pss(long hash, long maskGeneration, long saltBytes) implements Mechanism {
    @Override
    public long type() {
      return Ck.CKM_RSA_PKCS_PSS;
    }
  }
}
