package dev.sealwax.kms.pkcs11;

/** Whether the module is called. */
public enum CircuitState {
  /** It is. */
  CLOSED,
  /** It failed beyond repair a moment ago; calls fail at once until the back-off has passed. */
  OPEN,
  /** The back-off has passed; the next call initializes the module anew. */
  HALF_OPEN
}
