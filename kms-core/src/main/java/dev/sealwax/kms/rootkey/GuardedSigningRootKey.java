package dev.sealwax.kms.rootkey;

import dev.sealwax.kms.guard.GuardedCalls;
import dev.sealwax.kms.guard.Task;
import dev.sealwax.kms.vocabulary.RootKeyException.Reason;
import java.security.PublicKey;
import java.util.Objects;

/** A {@link ResilientRootKey} around one that signs as well. */
final class GuardedSigningRootKey extends GuardedRootKey implements SigningRootKey {
  private final SigningRootKey target;

  GuardedSigningRootKey(SigningRootKey target, GuardedCalls<Reason> calls) {
    super(target, calls);
    this.target = target;
  }

  @Override
  public SigningKey signingKey(String name) {
    Objects.requireNonNull(name, "name");
    return new GuardedSigningKey(
        calls().call(() -> Task.of(() -> target.signingKey(name))), calls());
  }

  private static final class GuardedSigningKey implements SigningKey {
    private final SigningKey target;
    private final GuardedCalls<Reason> calls;

    GuardedSigningKey(SigningKey target, GuardedCalls<Reason> calls) {
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
      return calls.call(() -> Task.of(() -> target.sign(own)));
    }
  }
}
