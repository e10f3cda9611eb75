package dev.sealwax.kms.rootkey;

import dev.sealwax.kms.rootkey.Attempt.Task;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import java.security.PublicKey;
import java.util.Objects;
import java.util.Set;

/** A {@link ResilientRootKey} around one that signs as well. */
final class GuardedSigningRootKey implements ResilientRootKey, SigningRootKey {
  private final GuardedRootKey guarded;
  private final SigningRootKey target;

  GuardedSigningRootKey(GuardedRootKey guarded, SigningRootKey target) {
    this.guarded = guarded;
    this.target = target;
  }

  @Override
  public RootKeyId currentKeyId() {
    return guarded.currentKeyId();
  }

  @Override
  public Set<String> tags() {
    return guarded.tags();
  }

  @Override
  public WrappedKey wrap(KeyMaterial key, EncryptionContext context) {
    return guarded.wrap(key, context);
  }

  @Override
  public WrappedKey wrap(KeyMaterial key, EncryptionContext context, RootKeyRule rule) {
    return guarded.wrap(key, context, rule);
  }

  @Override
  public KeyMaterial unwrap(WrappedKey wrapped, EncryptionContext context) {
    return guarded.unwrap(wrapped, context);
  }

  @Override
  public SigningKey signingKey(String name) {
    Objects.requireNonNull(name, "name");
    return new GuardedSigningKey(
        guarded.calls().call(() -> new Task<>(() -> target.signingKey(name), late -> {}, () -> {})),
        guarded.calls());
  }

  @Override
  public RootKeyHealth health() {
    return guarded.health();
  }

  @Override
  public void close() {
    guarded.close();
  }

  @Override
  public String toString() {
    return guarded.toString();
  }

  private static final class GuardedSigningKey implements SigningKey {
    private final SigningKey target;
    private final GuardedCalls calls;

    GuardedSigningKey(SigningKey target, GuardedCalls calls) {
      this.target = target;
      this.calls = calls;
    }

    @Override
    public RootKeyId id() {
      return target.id();
    }

    @Override
    public SignatureAlgorithm algorithm() {
      return target.algorithm();
    }

    @Override
    public PublicKey publicKey() {
      return target.publicKey();
    }

    @Override
    public byte[] sign(byte[] message) {
      byte[] own = Objects.requireNonNull(message, "message").clone();
      return calls.call(() -> new Task<>(() -> target.sign(own), late -> {}, () -> {}));
    }
  }
}
