package dev.sealwax.kms.testkit;

import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.rootkey.RootKeyId;
import dev.sealwax.kms.rootkey.RootKeyRule;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import java.util.Objects;
import java.util.Set;

/**
 * A root key that passes every call on to another one, which it owns and closes. For tests:
 * override what should be watched or changed; for failures by script there is {@link
 * FaultyRootKey}.
 */
public abstract class ForwardingRootKey implements RootKey {
  private final RootKey target;

  protected ForwardingRootKey(RootKey target) {
    this.target = Objects.requireNonNull(target, "target");
  }

  @Override
  public RootKeyId currentKeyId() {
    return target.currentKeyId();
  }

  @Override
  public Set<String> tags() {
    return target.tags();
  }

  @Override
  public WrappedKey wrap(KeyMaterial key, EncryptionContext context) {
    return target.wrap(key, context);
  }

  /**
   * Under any rule as {@link #wrap(KeyMaterial, EncryptionContext)} does, which may be overridden.
   */
  @Override
  public WrappedKey wrap(KeyMaterial key, EncryptionContext context, RootKeyRule rule) {
    return rule.equals(RootKeyRule.any()) ? wrap(key, context) : target.wrap(key, context, rule);
  }

  @Override
  public KeyMaterial unwrap(WrappedKey wrapped, EncryptionContext context) {
    return target.unwrap(wrapped, context);
  }

  @Override
  public void close() {
    target.close();
  }
}
