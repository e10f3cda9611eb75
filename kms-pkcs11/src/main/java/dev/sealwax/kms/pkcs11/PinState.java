package dev.sealwax.kms.pkcs11;

/** What is known about the user PIN of a token. */
public enum PinState {
  /**
   * No login was tried yet, the token needs none, or somebody in this process was logged in
   * already, so that nobody has looked at the PIN.
   */
  UNKNOWN,
  /** The last login succeeded. */
  ACCEPTED,
  /** It succeeded, and somebody had given a wrong PIN before: find out who. */
  ACCEPTED_AFTER_FAILURES,
  /** It was refused, and is not tried again until the source gives another. */
  REFUSED,
  /** The token says that one more wrong PIN locks it; nothing was tried. */
  FINAL_TRY,
  /** The token says that it is locked; its security officer can set a new PIN. */
  LOCKED
}
