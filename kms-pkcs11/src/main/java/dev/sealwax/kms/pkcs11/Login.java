package dev.sealwax.kms.pkcs11;

/**
 * A login of this process at a token, as far as one connection knows: handles and sessions found
 * under it are worth nothing under another. Compared by identity.
 *
 * <p>The anchor is a session nobody uses. It is there because closing the last session logs out.
 */
final class Login {
  private final long generation;
  private final TokenInfo token;
  private final long anchor;
  private final boolean recoverable;
  private volatile boolean lost;

  Login(long generation, TokenInfo token, long anchor, boolean recoverable) {
    this.recoverable = recoverable;
    this.generation = generation;
    this.token = token;
    this.anchor = anchor;
  }

  long generation() {
    return generation;
  }

  TokenInfo token() {
    return token;
  }

  long anchor() {
    return anchor;
  }

  /** Whether initializing the module anew may show more than this login sees. */
  boolean recoverable() {
    return recoverable;
  }

  /** Somebody else ended its sessions: their numbers may be others' by now. */
  void lost() {
    lost = true;
  }

  /** Whether its sessions must not be closed by number. */
  boolean isLost() {
    return lost;
  }
}
