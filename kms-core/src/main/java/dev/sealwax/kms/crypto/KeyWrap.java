package dev.sealwax.kms.crypto;

import dev.sealwax.kms.vocabulary.DecryptionFailedException;
import java.security.GeneralSecurityException;
import java.util.Arrays;
import javax.crypto.Cipher;
import org.jspecify.annotations.Nullable;

/**
 * AES-256 key wrap with padding (RFC 5649) of 32-byte keys under one key-encryption key.
 *
 * <p>Deterministic: no nonce, hence no limit on the number of keys wrapped. Safe for any thread,
 * also while it is being closed: a call under way ends undisturbed, later ones throw {@link
 * KeyClosedException}.
 */
public final class KeyWrap implements AutoCloseable {
  /** Size of the key-encryption key and of the keys wrapped, in bytes. */
  public static final int KEY_BYTES = 32;

  /**
   * Size of a wrapped key, in bytes: 8 of integrity check and length (RFC 5649 §3) before the key.
   */
  public static final int WRAPPED_BYTES = 8 + KEY_BYTES;

  private final CipherSlots<WrapSlot> slots;

  private KeyWrap(CipherSlots<WrapSlot> slots) {
    this.slots = slots;
  }

  /**
   * Builds from a key-encryption key, which is copied.
   *
   * @throws IllegalArgumentException if it is not {@link #KEY_BYTES} long
   */
  public static KeyWrap of(byte[] keyEncryptionKey) {
    requireLength("key-encryption key", keyEncryptionKey.length);
    return new KeyWrap(new CipherSlots<>(keyEncryptionKey, WrapSlot::new));
  }

  /**
   * Wraps a key.
   *
   * @throws KeyClosedException if closed before the call
   */
  public byte[] wrap(byte[] key) {
    requireLength("key", key.length);
    WrapSlot slot = acquire();
    boolean intact = false;
    try {
      byte[] wrapped = slot.wrapper().doFinal(key);
      intact = true;
      return wrapped;
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("AES key wrap failed in the JCE provider", e);
    } finally {
      giveBack(slot, intact);
    }
  }

  /**
   * Unwraps the {@link #WRAPPED_BYTES} bytes at {@code offset}.
   *
   * @return the key, which the caller wipes
   * @throws DecryptionFailedException if they were not wrapped under this key
   * @throws KeyClosedException if closed before the call
   */
  public byte[] unwrap(byte[] in, int offset) {
    WrapSlot slot = acquire();
    boolean intact = false;
    byte[] key;
    try {
      key = slot.unwrapper().doFinal(in, offset, WRAPPED_BYTES);
      intact = true;
    } catch (GeneralSecurityException e) {
      throw new DecryptionFailedException();
    } finally {
      // A cipher that has failed may hold half a message, so it is not used again.
      giveBack(slot, intact);
    }
    // 40 bytes are also the wrapping of 25 to 31: authentic, but nothing that wrap() makes.
    if (key.length != KEY_BYTES) {
      Arrays.fill(key, (byte) 0);
      throw new DecryptionFailedException();
    }
    return key;
  }

  /** Wipes the key; a call under way keeps its own copy until it ends. */
  @Override
  public void close() {
    slots.close();
  }

  private WrapSlot acquire() {
    WrapSlot slot = slots.acquire();
    if (slot == null) {
      throw new KeyClosedException();
    }
    return slot;
  }

  private void giveBack(WrapSlot slot, boolean intact) {
    if (intact) {
      slots.release(slot);
    } else {
      slots.discard(slot);
    }
  }

  private static void requireLength(String name, int lengthBytes) {
    if (lengthBytes != KEY_BYTES) {
      throw new IllegalArgumentException(
          name + " must be " + KEY_BYTES + " bytes, got " + lengthBytes);
    }
  }

  private static final class WrapSlot implements CipherSlots.Slot {
    private static final String TRANSFORMATION = "AES/KWP/NoPadding";

    private final WipeableKey key;
    private @Nullable Cipher wrapper;
    private @Nullable Cipher unwrapper;

    WrapSlot(byte[] key) {
      this.key = new WipeableKey(key, "AES");
    }

    Cipher wrapper() throws GeneralSecurityException {
      Cipher cipher = wrapper;
      if (cipher == null) {
        cipher = keyed(Cipher.ENCRYPT_MODE);
        wrapper = cipher;
      }
      return cipher;
    }

    Cipher unwrapper() throws GeneralSecurityException {
      Cipher cipher = unwrapper;
      if (cipher == null) {
        cipher = keyed(Cipher.DECRYPT_MODE);
        unwrapper = cipher;
      }
      return cipher;
    }

    private Cipher keyed(int mode) throws GeneralSecurityException {
      Cipher cipher = Cipher.getInstance(TRANSFORMATION);
      cipher.init(mode, key);
      return cipher;
    }

    @Override
    public void wipe() {
      key.destroy();
      if (wrapper != null) {
        CipherWiping.wipeKeyWrap(wrapper);
      }
      if (unwrapper != null) {
        CipherWiping.wipeKeyWrap(unwrapper);
      }
    }
  }
}
