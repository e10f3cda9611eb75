package dev.sealwax.kms.rootkey;

import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.util.Objects;
import java.util.Set;

/**
 * A key at the top of the hierarchy that wraps and unwraps small secrets and never leaves its
 * provider: an HSM, a cloud KMS, or a guarded file.
 *
 * <p>Implementations are safe for concurrent use, bound every call by a timeout of their own,
 * authenticate the context (a wrapped key unwraps only with the context it was wrapped with), log
 * no secret, and throw nothing but {@link RootKeyException} and the JDK's programming errors. They
 * hold no envelope logic, no cache and no retry policy, and use no key of the {@code Kms} that they
 * serve: what they call must not encrypt its log or its settings with it (it would wait for itself,
 * and is refused where that is seen).
 *
 * <p>{@code RootKeyContract} in the test-jar tests what the methods say, concurrent use, the
 * binding of the context, what comes of altered bytes, and that messages show no secret: extend it
 * for your implementation. It cannot test timeouts, the translation of a provider's errors, what is
 * logged, or that there is no cache and no retry; their tests are yours.
 */
public interface RootKey extends AutoCloseable {
  /**
   * The key that {@link #wrap} uses now; it also travels in every {@link WrappedKey}, so later keys
   * can coexist. Known without asking the provider: cheap, and never an exception, not even after
   * {@link #close}, for it is called for log lines and to find the owner of a wrapped key.
   */
  RootKeyId currentKeyId();

  /**
   * Seals {@code key}, bound to {@code context}.
   *
   * @param key 1 to {@value KeyMaterial#MAX_BYTES} bytes; stays the caller's
   * @throws RootKeyException if the provider refuses or fails; see its reason
   * @throws IllegalStateException if this root key is closed
   */
  WrappedKey wrap(KeyMaterial key, EncryptionContext context);

  /**
   * Seals {@code key} as {@link #wrap(KeyMaterial, EncryptionContext)} does, if the rule admits
   * this root key.
   *
   * @throws RootKeyException with {@code UNSUPPORTED} if the rule does not
   */
  default WrappedKey wrap(KeyMaterial key, EncryptionContext context, RootKeyRule rule) {
    Objects.requireNonNull(rule, "rule").requireAdmitted(currentKeyId(), tags());
    return wrap(key, context);
  }

  /**
   * What this root key says of itself, for instance {@code region=eu-central-1}, so that a keyset
   * can require or forbid it ({@link RootKeyRule}). Constant, also after {@link #close}, and cheap;
   * nothing unless overridden.
   */
  default Set<String> tags() {
    return Set.of();
  }

  /**
   * Opens what {@link #wrap} sealed.
   *
   * @return the secret; the caller owns and closes it
   * @throws RootKeyException with {@code INVALID_CIPHERTEXT} if it was altered (a ciphertext of any
   *     length from 1 to {@value WrappedKey#MAX_BYTES} bytes may come) or the context differs,
   *     {@code NOT_FOUND} if another root key wrapped it, or another reason if the provider refuses
   *     or fails
   * @throws IllegalStateException if this root key is closed
   */
  KeyMaterial unwrap(WrappedKey wrapped, EncryptionContext context);

  /** Releases sessions and wipes what is held in memory; further calls do nothing. */
  @Override
  void close();
}
