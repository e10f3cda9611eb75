package dev.sealwax.kms.rootkey;

import dev.sealwax.kms.rootkey.Attempt.Task;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;

/** A {@link ResilientRootKey} around one that wraps and unwraps. */
final class GuardedRootKey implements ResilientRootKey {
  private final RootKey target;
  private final GuardedCalls calls;
  private final AtomicBoolean closed = new AtomicBoolean();

  GuardedRootKey(RootKey target, GuardedCalls calls) {
    this.target = target;
    this.calls = calls;
  }

  GuardedCalls calls() {
    return calls;
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
    return wrap(key, context, RootKeyRule.any());
  }

  @Override
  public WrappedKey wrap(KeyMaterial key, EncryptionContext context, RootKeyRule rule) {
    Objects.requireNonNull(key, "key");
    Objects.requireNonNull(context, "context");
    Objects.requireNonNull(rule, "rule");
    return calls.call(
        () -> {
          // The caller wipes its key when it has its answer; an attempt left behind may be slower.
          KeyMaterial copy = key.use(KeyMaterial::copyOf);
          return new Task<>(() -> target.wrap(copy, context, rule), late -> {}, copy::close);
        });
  }

  @Override
  public KeyMaterial unwrap(WrappedKey wrapped, EncryptionContext context) {
    Objects.requireNonNull(wrapped, "wrapped key");
    Objects.requireNonNull(context, "context");
    return calls.call(
        () -> new Task<>(() -> target.unwrap(wrapped, context), KeyMaterial::close, () -> {}));
  }

  @Override
  public RootKeyHealth health() {
    return calls.health();
  }

  @Override
  public void close() {
    if (!closed.getAndSet(true)) {
      calls.close();
      target.close();
    }
  }

  @Override
  public String toString() {
    return "ResilientRootKey[" + currentKeyId() + ", circuit " + health().circuit() + "]";
  }
}
