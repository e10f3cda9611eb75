package dev.sealwax.kms.keyset;

import dev.sealwax.kms.crypto.Hkdf;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.util.Arrays;
import java.util.Base64;
import org.jspecify.annotations.Nullable;

/**
 * The key that authenticates the documents of one keyset; it travels with every wrapped key version
 * (keyset-v1 §2).
 *
 * <p>Owned by one {@link OpenKeyset}, or by whoever has just unwrapped or drawn it. Safe for
 * concurrent use, also while it is being closed: a call ends before the key is wiped, or fails.
 */
final class DocumentKey implements AutoCloseable {
  static final int BYTES = 32;
  static final int MAC_BYTES = 32;

  private static final byte[] LABEL = Hkdf.label("sealwax/keyset-document/v1");

  private final byte[] key;
  private boolean closed;

  private DocumentKey(byte[] key) {
    this.key = key;
  }

  static DocumentKey random(SecureRandom random) {
    byte[] key = new byte[BYTES];
    random.nextBytes(key);
    return new DocumentKey(key);
  }

  /** Copies the {@link #BYTES} bytes at {@code offset}. */
  static DocumentKey copyOf(byte[] bytes, int offset) {
    return new DocumentKey(Arrays.copyOfRange(bytes, offset, offset + BYTES));
  }

  /** The whole document: {@code body} and its authentication. */
  String seal(String body) {
    return KeysetJson.join(body, mac(body));
  }

  /**
   * The MAC of the document as it stands there, if it is the right one under this key; else null.
   */
  @Nullable String verify(String document) {
    String body = KeysetJson.bodyOf(document);
    if (body == null) {
      return null;
    }
    String mac = mac(body);
    // Comparing the whole text also pins the base64 form. The MAC is no secret, but its right value
    // for a forged body is.
    byte[] expected = KeysetJson.join(body, mac).getBytes(StandardCharsets.UTF_8);
    return MessageDigest.isEqual(expected, document.getBytes(StandardCharsets.UTF_8)) ? mac : null;
  }

  private String mac(String body) {
    byte[] message = body.getBytes(StandardCharsets.UTF_8);
    synchronized (key) {
      requireOpen();
      byte[] macKey = Hkdf.expand(key, LABEL, MAC_BYTES);
      try {
        // HKDF-Extract is HMAC under its first argument, by definition (RFC 5869 §2.2).
        return Base64.getEncoder().encodeToString(Hkdf.extract(macKey, message));
      } finally {
        Arrays.fill(macKey, (byte) 0);
      }
    }
  }

  /** Whether the {@link #BYTES} bytes at {@code offset} are this key. */
  boolean isAt(byte[] bytes, int offset) {
    byte[] other = Arrays.copyOfRange(bytes, offset, offset + BYTES);
    try {
      synchronized (key) {
        requireOpen();
        return MessageDigest.isEqual(key, other);
      }
    } finally {
      Arrays.fill(other, (byte) 0);
    }
  }

  /** Writes this key to {@code offset}. */
  void copyTo(byte[] out, int offset) {
    synchronized (key) {
      requireOpen();
      System.arraycopy(key, 0, out, offset, BYTES);
    }
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException("the Kms is closed");
    }
  }

  @Override
  public void close() {
    synchronized (key) {
      closed = true;
      Arrays.fill(key, (byte) 0);
    }
  }
}
