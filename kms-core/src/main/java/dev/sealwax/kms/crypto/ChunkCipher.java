package dev.sealwax.kms.crypto;

import dev.sealwax.kms.vocabulary.DecryptionFailedException;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicInteger;
import javax.crypto.AEADBadTagException;
import javax.crypto.Cipher;
import org.jspecify.annotations.Nullable;

/**
 * Seals or opens the chunks of one message of C2SP chunked-encryption. Owned by one thread at a
 * time; the owner closes it.
 */
public final class ChunkCipher implements AutoCloseable {
  /** Random salt at the start of a message, in bytes. */
  public static final int SALT_BYTES = 24;

  /** Commitment to the derived key, after the salt, in bytes. */
  public static final int COMMITMENT_BYTES = 32;

  /** What comes before the first chunk, in bytes. */
  public static final int PREFIX_BYTES = SALT_BYTES + COMMITMENT_BYTES;

  /** Plaintext of every chunk but the last, which is shorter, in bytes. */
  public static final int CHUNK_BYTES = 16 * 1024;

  /** Authentication tag after every chunk, in bytes. */
  public static final int TAG_BYTES = AesGcm.TAG_BYTES;

  /** A full chunk as stored, in bytes. */
  public static final int SEALED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES;

  /** Most chunks of one message; the limit of the C2SP specification, 4 PiB of plaintext. */
  public static final long MAX_CHUNKS = 1L << 38;

  /** A payload that gets this far is a large one. */
  private static final int WARM_UP_AT_CHUNK = 4;

  private static final int IDLE = 0;
  private static final int BUSY = 1;
  private static final int CLOSED = 2;

  private static final int KEY_BYTES = AesGcm.KEY_BYTES;
  private static final int NONCE_BYTES = AesGcm.NONCE_BYTES;
  static final int DERIVED_BYTES = KEY_BYTES + NONCE_BYTES + COMMITMENT_BYTES;

  private static final VarHandle LONG =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.BIG_ENDIAN);

  private final WipeableKey key;
  private final byte[] nonce;
  private final long nonceTail;
  private final byte[] commitment;
  private final Cipher cipher = AesGcm.newCipher();
  private final AtomicInteger state = new AtomicInteger(IDLE);
  private final @Nullable UsageMeter meter;
  private long lastSealed = -1;

  /**
   * Splits what was derived.
   *
   * @param derived key, base nonce and commitment; the caller wipes it
   * @param meter counts the bytes that are sealed, if somebody wants to know
   */
  ChunkCipher(byte[] derived, @Nullable UsageMeter meter) {
    this.meter = meter;
    byte[] keyBytes = Arrays.copyOf(derived, KEY_BYTES);
    key = new WipeableKey(keyBytes, "AES");
    Arrays.fill(keyBytes, (byte) 0);
    nonce = Arrays.copyOfRange(derived, KEY_BYTES, KEY_BYTES + NONCE_BYTES);
    nonceTail = (long) LONG.get(nonce, NONCE_BYTES - Long.BYTES);
    commitment = Arrays.copyOfRange(derived, KEY_BYTES + NONCE_BYTES, DERIVED_BYTES);
  }

  /** Writes the commitment to {@code out} at {@code offset}. */
  public void putCommitment(byte[] out, int offset) {
    System.arraycopy(commitment, 0, out, offset, COMMITMENT_BYTES);
  }

  /**
   * Compares the commitment in {@code in} at {@code offset}, in constant time; to be called before
   * any chunk is opened.
   *
   * @throws DecryptionFailedException if it is another one
   */
  public void requireCommitment(byte[] in, int offset) {
    if (!MessageDigest.isEqual(
        commitment, Arrays.copyOfRange(in, offset, offset + COMMITMENT_BYTES))) {
      throw new DecryptionFailedException();
    }
  }

  /**
   * Seals chunk {@code index}.
   *
   * @return bytes written to {@code out}: {@code length + TAG_BYTES}
   */
  public int seal(long index, byte[] in, int offset, int length, byte[] out, int outOffset) {
    try {
      int written = run(Cipher.ENCRYPT_MODE, index, in, offset, length, out, outOffset);
      if (meter != null) {
        meter.lent(0, length);
      }
      return written;
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("AES-GCM encryption failed in the JCE provider", e);
    }
  }

  /**
   * Opens chunk {@code index}. If decryption was begun and fails, {@code out} holds zeros where the
   * plaintext would be: it may be an array of the application, and a JCE provider may have written
   * before it compared the tag.
   *
   * @param length length as stored, tag included
   * @return bytes written to {@code out}: {@code length - TAG_BYTES}
   * @throws DecryptionFailedException if the chunk is too short, beyond the last that there may be,
   *     or not authentic at this place
   */
  public int open(long index, byte[] in, int offset, int length, byte[] out, int outOffset) {
    if (length < TAG_BYTES || index >= MAX_CHUNKS) {
      throw new DecryptionFailedException();
    }
    try {
      return run(Cipher.DECRYPT_MODE, index, in, offset, length, out, outOffset);
    } catch (AEADBadTagException e) {
      throw new DecryptionFailedException();
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("AES-GCM decryption failed in the JCE provider", e);
    }
  }

  private int run(
      int mode, long index, byte[] in, int offset, int length, byte[] out, int outOffset)
      throws GeneralSecurityException {
    if (index < 0 || index >= MAX_CHUNKS) {
      throw new IllegalStateException("a message holds at most 2^38 chunks");
    }
    if (!state.compareAndSet(IDLE, BUSY)) {
      throw new IllegalStateException("the stream is closed, or used by two threads at once");
    }
    boolean done = false;
    try {
      if (mode == Cipher.ENCRYPT_MODE) {
        // Chunks are sealed in order, so that no mistake above can use a nonce twice.
        if (index <= lastSealed) {
          throw new IllegalStateException("chunk " + index + " has been sealed before");
        }
        lastSealed = index;
      }
      if (index == WARM_UP_AT_CHUNK) {
        JitWarmUp.inBackground();
      }
      LONG.set(nonce, NONCE_BYTES - Long.BYTES, nonceTail ^ index);
      cipher.init(mode, key, AesGcm.parameters(nonce));
      int written = cipher.doFinal(in, offset, length, out, outOffset);
      done = true;
      return written;
    } finally {
      if (!state.compareAndSet(BUSY, IDLE)) {
        wipe(); // closed meanwhile
      }
      if (!done && mode == Cipher.DECRYPT_MODE) {
        Arrays.fill(out, outOffset, outOffset + length - TAG_BYTES, (byte) 0);
      }
    }
  }

  /**
   * Wipes the message's key, after the call under way if there is one; further calls do nothing.
   */
  @Override
  public void close() {
    if (state.getAndSet(CLOSED) == IDLE) {
      wipe();
    }
  }

  private void wipe() {
    key.destroy();
    CipherWiping.wipe(cipher);
  }
}
