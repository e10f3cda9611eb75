package dev.sealwax.kms.pkcs11;

/** What is refused unless it is asked for by name; each has a price. */
public enum Concession {
  /**
   * Root keys that the token would hand out: extractable, or not sensitive. Whoever has the PIN can
   * then copy the key, and nobody notices.
   */
  EXTRACTABLE_KEYS,
  /**
   * RSA-OAEP with SHA-1, which is all that some tokens know. No attack on OAEP with SHA-1 is known;
   * many rules forbid it.
   */
  OAEP_SHA1,
  /** A login although the token says that the next wrong PIN locks it. */
  FINAL_PIN_TRY,
  /**
   * Another library in this JVM uses the same module. It is then never finalized, because that
   * would end the other's sessions; and recovery ends where finalizing would begin, so a connection
   * that the module has given up needs a new JVM.
   */
  SHARED_MODULE
}
