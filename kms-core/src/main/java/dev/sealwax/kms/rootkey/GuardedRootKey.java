package dev.sealwax.kms.rootkey;

import dev.sealwax.kms.guard.GuardTiming;
import dev.sealwax.kms.guard.GuardedCalls;
import dev.sealwax.kms.guard.Task;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.GuardHealth;
import dev.sealwax.kms.vocabulary.GuardPolicy;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.RootKeyException;
import dev.sealwax.kms.vocabulary.RootKeyException.Reason;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;

/** A {@link ResilientRootKey} around one that wraps and unwraps. */
sealed class GuardedRootKey implements ResilientRootKey permits GuardedSigningRootKey {
  private final RootKey target;
  private final GuardedCalls<Reason> calls;
  private final AtomicBoolean closed = new AtomicBoolean();

  GuardedRootKey(RootKey target, GuardedCalls<Reason> calls) {
    this.target = target;
    this.calls = calls;
  }

  static ResilientRootKey around(RootKey rootKey, GuardPolicy policy, GuardTiming timing) {
    Objects.requireNonNull(rootKey, "root key");
    GuardedCalls<Reason> calls =
        new GuardedCalls<>(
            "root key", Objects.requireNonNull(policy, "policy"), timing, RootKeyOutages.INSTANCE);
    return rootKey instanceof SigningRootKey signing
        ? new GuardedSigningRootKey(signing, calls)
        : new GuardedRootKey(rootKey, calls);
  }

  final GuardedCalls<Reason> calls() {
    return calls;
  }

  @Override
  public final RootKeyId currentKeyId() {
    return target.currentKeyId();
  }

  @Override
  public final Set<String> tags() {
    return target.tags();
  }

  @Override
  public final WrappedKey wrap(KeyMaterial key, EncryptionContext context) {
    return wrap(key, context, RootKeyRule.any());
  }

  @Override
  public final WrappedKey wrap(KeyMaterial key, EncryptionContext context, RootKeyRule rule) {
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
  public final KeyMaterial unwrap(WrappedKey wrapped, EncryptionContext context) {
    Objects.requireNonNull(wrapped, "wrapped key");
    Objects.requireNonNull(context, "context");
    boolean mayBeAnothers = !wrapped.rootKeyId().equals(currentKeyId());
    return calls.call(
        () -> new Task<>(() -> target.unwrap(wrapped, context), KeyMaterial::close, () -> {}),
        // Most providers say that of another's key without asking anybody.
        failure ->
            mayBeAnothers
                && failure instanceof RootKeyException e
                && e.reason() == Reason.NOT_FOUND);
  }

  @Override
  public final GuardHealth<Reason> health() {
    return calls.health();
  }

  @Override
  public final void close() {
    if (!closed.getAndSet(true)) {
      calls.close();
      target.close();
    }
  }

  @Override
  public final String toString() {
    return "ResilientRootKey[" + currentKeyId() + ", circuit " + health().circuit() + "]";
  }
}
