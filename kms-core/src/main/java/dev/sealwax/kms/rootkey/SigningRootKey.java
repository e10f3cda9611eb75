package dev.sealwax.kms.rootkey;

import dev.sealwax.kms.vocabulary.RootKeyException;

/** A root key whose provider also signs: an optional capability, found by {@code instanceof}. */
public interface SigningRootKey extends RootKey {
  /**
   * The signing key of that name. Signing keys are keys of their own, never the root key.
   *
   * @throws RootKeyException with {@code NOT_FOUND} if there is none or more than one
   * @throws IllegalStateException if this root key is closed
   */
  SigningKey signingKey(String name);
}
