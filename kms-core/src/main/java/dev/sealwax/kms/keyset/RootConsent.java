package dev.sealwax.kms.keyset;

/**
 * Whether the root key still allows the use of a key version, as far as it has been asked.
 *
 * <p>For the envelope package: what was wrapped or unwrapped with the version before the root key
 * denied it may not be used any more; it is to be unwrapped anew, which asks the root key. Once
 * withdrawn, it stays so: what the root key allows later has another consent. Safe for any thread.
 */
public final class RootConsent {
  private volatile boolean withdrawn;

  RootConsent() {}

  /** Whether the root key has denied the version since; costs a read. */
  public boolean isWithdrawn() {
    return withdrawn;
  }

  void withdraw() {
    withdrawn = true;
  }
}
