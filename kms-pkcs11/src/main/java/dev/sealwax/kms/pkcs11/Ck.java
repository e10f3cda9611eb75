package dev.sealwax.kms.pkcs11;

/** Numbers of PKCS#11 (pkcs11t.h) that are used, under their names there. */
final class Ck {
  static final long CKO_PUBLIC_KEY = 0x2;
  static final long CKO_PRIVATE_KEY = 0x3;
  static final long CKO_SECRET_KEY = 0x4;

  static final long CKK_RSA = 0x0;
  static final long CKK_EC = 0x3;
  static final long CKK_GENERIC_SECRET = 0x10;
  static final long CKK_AES = 0x1F;
  static final long CKK_EC_EDWARDS = 0x40;

  static final long CKA_CLASS = 0x0;
  static final long CKA_TOKEN = 0x1;
  static final long CKA_PRIVATE = 0x2;
  static final long CKA_LABEL = 0x3;
  static final long CKA_VALUE = 0x11;
  static final long CKA_KEY_TYPE = 0x100;
  static final long CKA_ID = 0x102;
  static final long CKA_SENSITIVE = 0x103;
  static final long CKA_ENCRYPT = 0x104;
  static final long CKA_DECRYPT = 0x105;
  static final long CKA_WRAP = 0x106;
  static final long CKA_UNWRAP = 0x107;
  static final long CKA_SIGN = 0x108;
  static final long CKA_SIGN_RECOVER = 0x109;
  static final long CKA_VERIFY = 0x10A;
  static final long CKA_DERIVE = 0x10C;
  static final long CKA_MODULUS = 0x120;
  static final long CKA_MODULUS_BITS = 0x121;
  static final long CKA_PUBLIC_EXPONENT = 0x122;
  static final long CKA_VALUE_LEN = 0x161;
  static final long CKA_EXTRACTABLE = 0x162;
  static final long CKA_LOCAL = 0x163;
  static final long CKA_NEVER_EXTRACTABLE = 0x164;
  static final long CKA_ALWAYS_SENSITIVE = 0x165;
  static final long CKA_EC_PARAMS = 0x180;
  static final long CKA_EC_POINT = 0x181;
  static final long CKA_ALWAYS_AUTHENTICATE = 0x202;

  static final long CKM_RSA_PKCS_KEY_PAIR_GEN = 0x0;
  static final long CKM_RSA_PKCS = 0x1;
  static final long CKM_RSA_PKCS_OAEP = 0x9;
  static final long CKM_RSA_PKCS_PSS = 0xD;
  static final long CKM_SHA_1 = 0x220;
  static final long CKM_SHA256 = 0x250;
  static final long CKM_SHA256_HMAC = 0x251;
  static final long CKM_GENERIC_SECRET_KEY_GEN = 0x350;
  static final long CKM_EC_KEY_PAIR_GEN = 0x1040;
  static final long CKM_ECDSA = 0x1041;
  static final long CKM_EC_EDWARDS_KEY_PAIR_GEN = 0x1055;
  static final long CKM_EDDSA = 0x1057;
  static final long CKM_AES_KEY_GEN = 0x1080;
  static final long CKM_AES_CBC = 0x1082;
  static final long CKM_AES_GCM = 0x1087;

  /** RFC 3394 over whole blocks. Not 0x210A beside it, which is two formats under one number. */
  static final long CKM_AES_KEY_WRAP = 0x2109;

  /** RFC 5649. */
  static final long CKM_AES_KEY_WRAP_KWP = 0x210B;

  static final long CKG_MGF1_SHA1 = 0x1;
  static final long CKG_MGF1_SHA256 = 0x2;
  static final long CKZ_DATA_SPECIFIED = 0x1;

  static final long CKF_RW_SESSION = 0x2;
  static final long CKF_SERIAL_SESSION = 0x4;
  static final long CKU_USER = 1;

  static final long CKF_OS_LOCKING_OK = 0x2;

  static final long CKF_LOGIN_REQUIRED = 0x4;
  static final long CKF_PROTECTED_AUTHENTICATION_PATH = 0x100;
  static final long CKF_TOKEN_INITIALIZED = 0x400;
  static final long CKF_USER_PIN_COUNT_LOW = 0x10000;
  static final long CKF_USER_PIN_FINAL_TRY = 0x20000;
  static final long CKF_USER_PIN_LOCKED = 0x40000;

  /** What a length is when there is none ({@code CK_UNAVAILABLE_INFORMATION}). */
  static final long UNAVAILABLE = ~0L;

  private Ck() {}
}
