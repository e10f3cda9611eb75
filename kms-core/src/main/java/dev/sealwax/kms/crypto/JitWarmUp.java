package dev.sealwax.kms.crypto;

import java.security.GeneralSecurityException;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import javax.crypto.Cipher;

/**
 * Gets AES-GCM compiled early in a JVM that starts with large payloads.
 *
 * <p>SunJCE reaches the processor's AES and carry-less multiplication only from code that the
 * optimising compiler has compiled, and that compiler counts calls: payloads in chunks of 16 KiB
 * make few calls a second while they are slow, and so stay some forty times slower than they could
 * be for one to two seconds. A few thousand short messages under a throw-away key, once per JVM and
 * beside the real work, end that sooner (docs/performance.md has the figures).
 */
public final class JitWarmUp {
  private static final int MESSAGES = 3000;
  private static final int LONGEST = 2048;
  // What the real work will meet is met here too, now and then, or the compiler takes it for
  // impossible and begins anew when it comes: an empty last chunk, one of no whole block, other
  // keys.
  private static final int[] LENGTHS = {LONGEST, LONGEST, 0, LONGEST, LONGEST, LONGEST - 1};
  private static final AtomicBoolean STARTED = new AtomicBoolean();

  private JitWarmUp() {}

  /** Starts the warm-up on a daemon thread, unless it has run before. */
  static void inBackground() {
    if (STARTED.compareAndSet(false, true)) {
      Thread thread =
          new Thread(null, JitWarmUp::run, "sealwax-warm-up", 0, /* inheritThreadLocals= */ false);
      // Nothing of whoever happens to be the first.
      thread.setContextClassLoader(JitWarmUp.class.getClassLoader());
      thread.setDaemon(true);
      thread.start();
    }
  }

  /** Runs the warm-up on this thread, unless it has run before; a few tenths of a second. */
  public static void now() {
    if (STARTED.compareAndSet(false, true)) {
      run();
    }
  }

  private static void run() {
    byte[] nonce = new byte[AesGcm.NONCE_BYTES];
    byte[] plaintext = new byte[LONGEST];
    byte[] sealed = new byte[LONGEST + AesGcm.TAG_BYTES];
    try {
      Cipher cipher = AesGcm.newCipher();
      List<WipeableKey> keys = List.of(throwaway(0), throwaway(1));
      for (int i = 0; i < MESSAGES; i++) {
        int length = LENGTHS[i % LENGTHS.length];
        WipeableKey key = keys.get(i / 32 % 2);
        nonce[0] = (byte) i; // SunJCE refuses the nonce of the message before
        cipher.init(Cipher.ENCRYPT_MODE, key, AesGcm.parameters(nonce));
        int sealedLength = cipher.doFinal(plaintext, 0, length, sealed, 0);
        cipher.init(Cipher.DECRYPT_MODE, key, AesGcm.parameters(nonce));
        cipher.doFinal(sealed, 0, sealedLength, plaintext, 0);
      }
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("AES-GCM failed in the JCE provider", e);
    }
  }

  private static WipeableKey throwaway(int filler) {
    byte[] key = new byte[AesGcm.KEY_BYTES];
    Arrays.fill(key, (byte) filler);
    return new WipeableKey(key, "AES");
  }
}
