package dev.sealwax.kms.pkcs11;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
import org.jspecify.annotations.Nullable;

/**
 * A block of native memory for the arguments of one call: pieces are taken from its start on and
 * all given back at once, wiped. Used by one thread at a time.
 */
final class NativeArena {
  /** More than the largest call needs: 8 KiB in, as much out, and templates. */
  static final int BYTES = 64 * 1024;

  private static final int ALIGNMENT = 16;

  private final Memory memory = new Memory(BYTES);
  private long used;

  NativeArena() {
    memory.clear();
  }

  /**
   * Takes zeroed memory.
   *
   * @throws IllegalArgumentException if that is more than is left; nothing was written then
   */
  Pointer take(long bytes) {
    if (bytes < 0 || bytes > BYTES - used) {
      throw new IllegalArgumentException(
          "a PKCS#11 call needs "
              + bytes
              + " more bytes of "
              + BYTES
              + ", of which "
              + used
              + " are in use");
    }
    Pointer piece = memory.share(used, Math.max(bytes, 1));
    used = Math.min(BYTES, (used + bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
    return piece;
  }

  /** Copies bytes in; null for none, as Cryptoki expects it. */
  @Nullable Pointer put(byte[] bytes) {
    if (bytes.length == 0) {
      return null;
    }
    Pointer piece = take(bytes.length);
    piece.write(0, bytes, 0, bytes.length);
    return piece;
  }

  /** Wipes what was taken and gives it back. */
  void reset() {
    memory.setMemory(0, used, (byte) 0);
    used = 0;
  }
}
