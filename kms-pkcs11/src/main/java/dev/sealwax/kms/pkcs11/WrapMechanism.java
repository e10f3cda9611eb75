package dev.sealwax.kms.pkcs11;

import org.jspecify.annotations.Nullable;

/**
 * How a key in a token protects a secret, in order of preference. The number of each stands in
 * every wrapped key (pkcs11-root-key-v1 §3).
 */
public enum WrapMechanism {
  /** AES-GCM in the token, over the secret itself; the token authenticates the context. */
  AES_GCM(1),
  /** AES key wrap with padding (RFC 5649) in the token, over a random seed. */
  AES_KWP(2),
  /** AES key wrap (RFC 3394) in the token, over a random seed. */
  AES_KW(3),
  /** RSA-OAEP with SHA-256 over a random seed, signed by a second key pair of the token. */
  RSA_OAEP_SHA256(4),
  /** RSA-OAEP with SHA-1, only with {@link Concession#OAEP_SHA1}. */
  RSA_OAEP_SHA1(5),
  /** AES-CBC over a random seed, then HMAC-SHA-256 by a second key of the token. */
  AES_CBC_HMAC(6);

  private final int number;

  WrapMechanism(int number) {
    this.number = number;
  }

  int number() {
    return number;
  }

  static @Nullable WrapMechanism ofNumber(int number) {
    for (WrapMechanism mechanism : values()) {
      if (mechanism.number == number) {
        return mechanism;
      }
    }
    return null;
  }

  boolean isRsa() {
    return this == RSA_OAEP_SHA256 || this == RSA_OAEP_SHA1;
  }

  /** Whether the token protects a seed, and the JVM the secret by a key derived from it. */
  boolean usesSeed() {
    return this != AES_GCM;
  }

  /** Whether a second key of the token has to say that the result comes from the token. */
  boolean needsCompanion() {
    return isRsa() || this == AES_CBC_HMAC;
  }
}
