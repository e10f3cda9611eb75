package dev.sealwax.kms.pkcs11;

import dev.sealwax.kms.vocabulary.EncryptionContext;
import java.security.SecureRandom;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * One mechanism applied with one key: makes wrapped blobs and opens them (pkcs11-root-key-v1 §4 to
 * §6). Whether the mechanism can be trusted with the key is for others to find out. Immutable; safe
 * for any thread, with a session for each.
 */
final class TokenWrap {
  private static final SecureRandom RANDOM = new SecureRandom();

  private final WrapMechanism mechanism;
  private final byte[] id;
  private final Protection protection;
  private final @Nullable Author author;

  /**
   * Joins the parts.
   *
   * @param id of the key; not copied, never changed
   * @param author of mechanisms that need a companion
   */
  TokenWrap(WrapMechanism mechanism, byte[] id, Protection protection, @Nullable Author author) {
    this.mechanism = mechanism;
    this.id = id;
    this.protection = protection;
    this.author = author;
  }

  WrapMechanism mechanism() {
    return mechanism;
  }

  Protection protection() {
    return protection;
  }

  /** Wraps a secret. */
  WrappedBlob wrap(TokenSession session, byte[] secret, EncryptionContext context) {
    byte[] binding = WrappedBlob.binding(mechanism, id, context);
    if (!mechanism.usesSeed()) {
      byte[] part = protection.protect(session, secret, binding);
      return new WrappedBlob(mechanism, id, part, new byte[0], new byte[0]);
    }
    byte[] seed = new byte[SeedCipher.SEED_BYTES];
    RANDOM.nextBytes(seed);
    try {
      byte[] part = protection.protect(session, seed, binding);
      byte[] sealed = SeedCipher.seal(seed, binding, secret);
      byte[] authenticator =
          author == null
              ? new byte[0]
              : author.sign(session, WrappedBlob.authored(binding, part, sealed));
      return new WrappedBlob(mechanism, id, part, authenticator, sealed);
    } finally {
      Arrays.fill(seed, (byte) 0);
    }
  }

  /**
   * Unwraps a blob of this mechanism and key.
   *
   * @return the secret, which the caller wipes; null if the blob is not authentic
   * @throws CryptokiException whatever the module says of a bad one, or of itself
   */
  byte @Nullable [] unwrap(TokenSession session, WrappedBlob blob, EncryptionContext context) {
    byte[] binding = WrappedBlob.binding(mechanism, id, context);
    if (!mechanism.usesSeed()) {
      return protection.recover(session, blob.protectedPart(), binding);
    }
    // Before anything is decrypted: what the token did not make never reaches its private key.
    if (author != null
        && !author.verify(
            session,
            WrappedBlob.authored(binding, blob.protectedPart(), blob.sealed()),
            blob.authenticator())) {
      return null;
    }
    byte[] seed = protection.recover(session, blob.protectedPart(), binding);
    try {
      return seed.length == SeedCipher.SEED_BYTES
          ? SeedCipher.open(seed, binding, blob.sealed())
          : null;
    } finally {
      Arrays.fill(seed, (byte) 0);
    }
  }
}
