package dev.sealwax.kms.crypto;

import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.util.Arrays;
import javax.crypto.Mac;
import org.jspecify.annotations.Nullable;

/**
 * An input key of C2SP chunked-encryption (Cobblestone-256): derives a fresh key, base nonce and
 * commitment for every message. Safe for concurrent use.
 */
public final class ChunkedKey implements AutoCloseable {
  private static final String MAC = "HmacSHA512";
  private static final byte[] LABEL =
      "c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0".getBytes(StandardCharsets.US_ASCII);

  private final CipherSlots<Slot> slots;
  private final UsageBudget budget;

  /**
   * Prepares a key.
   *
   * @param key 32 bytes, copied
   * @param budget what it may encrypt; a key for decryption only has an empty one
   */
  public ChunkedKey(byte[] key, UsageBudget budget) {
    this.budget = budget;
    this.slots = new CipherSlots<>(key, Slot::new);
  }

  /**
   * Charges one message whose first {@code lengthBytes} are known; false if the budget does not
   * cover it.
   */
  public boolean charge(long lengthBytes) {
    return budget.take(lengthBytes);
  }

  /**
   * Derives the keys of one message.
   *
   * @param salt {@value ChunkCipher#SALT_BYTES} bytes, random for a new message
   * @param context canonical encoding of the encryption context
   * @return the cipher, which the caller closes, or null if this key has been closed
   */
  public @Nullable ChunkCipher cipher(byte[] salt, byte[] context) {
    return cipher(salt, context, null);
  }

  /**
   * Derives the keys of a new message whose length nobody knows yet, as {@link #cipher} does; what
   * it seals is metered chunk by chunk.
   */
  public @Nullable ChunkCipher cipherOfUnknownLength(byte[] salt, byte[] context) {
    return cipher(salt, context, budget.meter());
  }

  private @Nullable ChunkCipher cipher(byte[] salt, byte[] context, @Nullable UsageMeter meter) {
    Slot slot = slots.acquire();
    if (slot == null) {
      return null;
    }
    byte[] derived = new byte[ChunkCipher.DERIVED_BYTES];
    boolean intact = false;
    try {
      slot.expand(salt, context, derived);
      intact = true;
      return new ChunkCipher(derived, meter);
    } finally {
      Arrays.fill(derived, (byte) 0);
      if (intact) {
        slots.release(slot);
      } else {
        slots.discard(slot); // its MAC may have been fed half an input
      }
    }
  }

  /** Wipes all copies of the key; ciphers already derived go on working. */
  @Override
  public void close() {
    slots.close();
  }

  private static final class Slot implements CipherSlots.Slot {
    private final Mac mac;

    Slot(byte[] key) {
      WipeableKey macKey = new WipeableKey(key, MAC);
      try {
        mac = Mac.getInstance(MAC);
        mac.init(macKey);
      } catch (GeneralSecurityException e) {
        throw new IllegalStateException("this JDK lacks " + MAC, e);
      } finally {
        macKey.destroy();
      }
    }

    /** HKDF-Expand of two blocks (RFC 5869 §2.3) with a MAC that is keyed once. */
    void expand(byte[] salt, byte[] context, byte[] out) {
      byte[] first = update(salt, context, (byte) 1).doFinal();
      mac.update(first);
      byte[] second = update(salt, context, (byte) 2).doFinal();
      System.arraycopy(first, 0, out, 0, first.length);
      System.arraycopy(second, 0, out, first.length, out.length - first.length);
      Arrays.fill(first, (byte) 0);
      Arrays.fill(second, (byte) 0);
    }

    private Mac update(byte[] salt, byte[] context, byte counter) {
      mac.update(LABEL);
      mac.update(salt);
      mac.update(context);
      mac.update(counter);
      return mac;
    }

    @Override
    public void wipe() {
      CipherWiping.wipe(mac);
    }
  }
}
