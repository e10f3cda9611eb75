package dev.sealwax.kms.pkcs11;

/** How far the token keeps a key to itself, by the attributes it states. */
public enum KeyProtection {
  /** Made in the token, always sensitive, never extractable: it has never been anywhere else. */
  NEVER_OUTSIDE,
  /** Sensitive and not extractable now; it was imported, or could once be read. */
  KEPT_INSIDE,
  /** Extractable, or not sensitive, or the token does not say. */
  EXTRACTABLE
}
