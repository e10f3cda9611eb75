package dev.sealwax.kms.rootkey;

import dev.sealwax.kms.rootkey.Attempt.Task;
import java.security.PublicKey;
import java.util.Objects;

/** A {@link ResilientRootKey} around one that signs as well. */
final class GuardedSigningRootKey extends GuardedRootKey implements SigningRootKey {
  private final SigningRootKey target;

  GuardedSigningRootKey(SigningRootKey target, GuardedCalls calls) {
    super(target, calls);
    this.target = target;
  }

  @Override
  public SigningKey signingKey(String name) {
    Objects.requireNonNull(name, "name");
    return new GuardedSigningKey(
        calls().call(() -> new Task<>(() -> target.signingKey(name), late -> {}, () -> {})),
        calls());
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
