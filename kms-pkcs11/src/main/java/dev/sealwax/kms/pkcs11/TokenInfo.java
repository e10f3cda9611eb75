package dev.sealwax.kms.pkcs11;

/**
 * What {@code C_GetTokenInfo} says that matters here.
 *
 * @param maxSessions 0 if the token names no limit
 */
record TokenInfo(
    long slot,
    String label,
    String manufacturer,
    String model,
    String serial,
    long flags,
    long maxSessions) {
  boolean has(long flag) {
    return (flags & flag) != 0;
  }

  /** Fit for a log: whoever initialized the token chose the label. */
  @Override
  public String toString() {
    return "token '"
        + label.replaceAll("\\p{Cntrl}", "?")
        + "' (serial "
        + serial.replaceAll("\\p{Cntrl}", "?")
        + ")";
  }
}
