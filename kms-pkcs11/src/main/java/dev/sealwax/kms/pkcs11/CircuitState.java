package dev.sealwax.kms.pkcs11;

/** Whether the token is called. */
public enum CircuitState {
  /** It is. */
  CLOSED,
  /**
   * Its module, or the token alone, failed beyond repair a moment ago; calls fail at once until the
   * back-off has passed.
   */
  OPEN,
  /** The back-off has passed; calls are made, and initialize the module anew if that may help. */
  HALF_OPEN
}
