package dev.sealwax.kms.rootkey;

import dev.sealwax.kms.vocabulary.RootKeyException;
import java.security.PublicKey;

/**
 * A key that signs and never leaves its provider; borrowed from the {@link SigningRootKey} that
 * gave it, which closes it. Safe for concurrent use.
 */
public interface SigningKey {
  /** Names the key; cheap, and never an exception. */
  RootKeyId id();

  SignatureAlgorithm algorithm();

  /** The other half, to hand out; verification needs no provider. */
  PublicKey publicKey();

  /**
   * Signs a message; the provider hashes it where the algorithm does.
   *
   * @param message not secret; at most 16,384 bytes for algorithms without a hash before
   * @throws RootKeyException if the provider refuses or fails; see its reason
   * @throws IllegalStateException if the root key that gave this is closed
   */
  byte[] sign(byte[] message);
}
