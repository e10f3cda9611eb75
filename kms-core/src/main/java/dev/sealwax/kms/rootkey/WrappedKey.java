package dev.sealwax.kms.rootkey;

import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/**
 * A secret sealed by a root key: the id of that root key and opaque bytes, safe to store anywhere.
 * Immutable.
 */
public final class WrappedKey {
  /** Longest ciphertext, in bytes: 4 KiB of secret and as much again for what a provider adds. */
  public static final int MAX_BYTES = 8192;

  private final RootKeyId rootKeyId;
  private final byte[] ciphertext;

  private WrappedKey(RootKeyId rootKeyId, byte[] ciphertext) {
    this.rootKeyId = rootKeyId;
    this.ciphertext = ciphertext;
  }

  /**
   * Joins an id and a ciphertext, which is copied.
   *
   * @throws IllegalArgumentException if the ciphertext is empty or longer than {@link #MAX_BYTES}
   */
  public static WrappedKey of(RootKeyId rootKeyId, byte[] ciphertext) {
    Objects.requireNonNull(rootKeyId, "root key id");
    Objects.requireNonNull(ciphertext, "ciphertext");
    if (ciphertext.length < 1 || ciphertext.length > MAX_BYTES) {
      throw new IllegalArgumentException(
          "wrapped key must be 1 to " + MAX_BYTES + " bytes, got " + ciphertext.length);
    }
    return new WrappedKey(rootKeyId, ciphertext.clone());
  }

  /** The root key that can unwrap it; of a {@link QuorumRootKey} the id of the quorum. */
  public RootKeyId rootKeyId() {
    return rootKeyId;
  }

  /** The root keys of which each can unwrap it alone: one, or the holders in a quorum. */
  public List<RootKeyId> holders() {
    QuorumWrap wrap = QuorumWrap.parse(this);
    return wrap == null ? List.of(rootKeyId) : wrap.withStanding(QuorumWrap.Standing.HOLDS);
  }

  /** The root keys of a quorum that should hold it and do not, because they did not answer. */
  public List<RootKeyId> missingHolders() {
    QuorumWrap wrap = QuorumWrap.parse(this);
    return wrap == null ? List.of() : wrap.withStanding(QuorumWrap.Standing.MISSING);
  }

  /** A copy of the opaque bytes. */
  public byte[] ciphertext() {
    return ciphertext.clone();
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof WrappedKey key
        && rootKeyId.equals(key.rootKeyId)
        && Arrays.equals(ciphertext, key.ciphertext);
  }

  @Override
  public int hashCode() {
    return 31 * rootKeyId.hashCode() + Arrays.hashCode(ciphertext);
  }

  @Override
  public String toString() {
    return "WrappedKey[" + rootKeyId + ", " + ciphertext.length + " bytes]";
  }
}
