package dev.sealwax.kms.vocabulary;

import java.security.MessageDigest;
import java.security.SecureRandom;
import java.util.Arrays;
import java.util.Objects;
import java.util.function.Function;

/**
 * Secret bytes with one owner, wiped by {@link #close()}.
 *
 * <p>Hold it in try-with-resources. There is no {@code equals}, {@code hashCode} or {@code
 * toString} over the content, so a key cannot reach a map, a log or a message by accident. Wiping
 * is best effort: the JVM may have moved the array before (see the threat model). Not safe for
 * concurrent use; ownership passes with the reference where a method says so.
 */
public final class KeyMaterial implements AutoCloseable {
  /**
   * The most a root key has to wrap, in bytes; the limit of the AWS KMS {@code Encrypt} call too.
   */
  public static final int MAX_BYTES = 4096;

  private final byte[] bytes;
  private boolean closed;

  private KeyMaterial(byte[] bytes) {
    this.bytes = bytes;
  }

  /**
   * Copies {@code secret}; the caller keeps, and should wipe, its own array.
   *
   * @throws IllegalArgumentException if empty or longer than {@link #MAX_BYTES}
   */
  public static KeyMaterial copyOf(byte[] secret) {
    requireLength(Objects.requireNonNull(secret, "secret").length);
    return new KeyMaterial(secret.clone());
  }

  /**
   * Takes {@code secret} over: the array is not copied and is wiped on close.
   *
   * @throws IllegalArgumentException if empty or longer than {@link #MAX_BYTES}
   */
  public static KeyMaterial owning(byte[] secret) {
    requireLength(Objects.requireNonNull(secret, "secret").length);
    return new KeyMaterial(secret);
  }

  /**
   * Draws fresh secret bytes.
   *
   * @throws IllegalArgumentException if {@code lengthBytes} is not within 1 and {@link #MAX_BYTES}
   */
  public static KeyMaterial random(SecureRandom random, int lengthBytes) {
    Objects.requireNonNull(random, "random");
    requireLength(lengthBytes);
    byte[] secret = new byte[lengthBytes];
    random.nextBytes(secret);
    return new KeyMaterial(secret);
  }

  private static void requireLength(int lengthBytes) {
    if (lengthBytes < 1 || lengthBytes > MAX_BYTES) {
      throw new IllegalArgumentException(
          "key material must be 1 to " + MAX_BYTES + " bytes, got " + lengthBytes);
    }
  }

  public int lengthBytes() {
    return bytes.length;
  }

  /**
   * Lends the bytes to {@code user}, which must neither keep nor change them.
   *
   * @throws IllegalStateException if already closed
   */
  public <T> T use(Function<byte[], T> user) {
    Objects.requireNonNull(user, "user");
    if (closed) {
      throw new IllegalStateException("key material is closed");
    }
    return user.apply(bytes);
  }

  /**
   * Compares two secrets in time that depends on their lengths only.
   *
   * @throws IllegalStateException if either is closed
   */
  public boolean contentEquals(KeyMaterial other) {
    Objects.requireNonNull(other, "other");
    return use(mine -> other.use(theirs -> MessageDigest.isEqual(mine, theirs)));
  }

  /** Wipes the bytes; further calls do nothing. */
  @Override
  public void close() {
    closed = true;
    Arrays.fill(bytes, (byte) 0);
  }

  @Override
  public String toString() {
    return "KeyMaterial[" + bytes.length + " bytes]";
  }
}
