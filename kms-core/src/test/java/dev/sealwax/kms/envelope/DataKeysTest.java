package dev.sealwax.kms.envelope;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.CacheStatistics;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Which data keys are in memory, and what is counted of their use. */
@Timeout(60)
class DataKeysTest {
  private static final EncryptionContext ROW = EncryptionContext.of("row", "7");
  private static final byte[] MESSAGE = {1, 2, 3};
  private static final Duration SOFT = Duration.ofMinutes(10);
  private static final DataKeyPolicy POLICY =
      DataKeyPolicy.defaults()
          .withEncryptCache(CachePolicy.of(SOFT, SOFT.multipliedBy(6), 100))
          .withDecryptCache(CachePolicy.of(SOFT, SOFT.multipliedBy(6), 100));

  private final Deque<Runnable> background = new ArrayDeque<>();

  private EnvelopeRig rig(DataKeyPolicy policy, SecureRandom random) {
    return EnvelopeRig.create(policy, EnvelopeRig.LONG, background::add, null, random);
  }

  private void runBackground() {
    for (Runnable task = background.poll(); task != null; task = background.poll()) {
      task.run();
    }
  }

  private static CacheStatistics encryptKeys(EnvelopeRig rig) {
    return rig.ciphers.statistics().encryptKeys();
  }

  private static CacheStatistics decryptKeys(EnvelopeRig rig) {
    return rig.ciphers.statistics().decryptKeys();
  }

  /** Runs something once, when the next random bytes are drawn. */
  private static final class InterruptedRandom extends SecureRandom {
    private static final long serialVersionUID = 1L;
    private transient Runnable interruption = () -> {};

    @Override
    public void nextBytes(byte[] bytes) {
      super.nextBytes(bytes);
      Runnable now = interruption;
      interruption = () -> {};
      now.run();
    }
  }

  @Test
  void discard_whileAKeyIsMade_takesThatKey() {
    InterruptedRandom random = new InterruptedRandom();
    try (EnvelopeRig rig = rig(POLICY, random)) {
      random.interruption = rig.ciphers::discardDataKeys;
      byte[] envelope = rig.cipher().encrypt(MESSAGE, ROW);
      assertEquals(2, encryptKeys(rig).loads(), "the first key was discarded");
      assertEquals(1, decryptKeys(rig).entries());
      assertArrayEquals(MESSAGE, rig.cipher().decrypt(envelope, ROW));
      assertEquals(0, decryptKeys(rig).misses());
    }
  }

  /** Whatever the moment: the clock is read many times between making a key and using it. */
  @Test
  void discard_afterAKeyIsMade_leavesNoneToEncryptWith() {
    for (int moment = 1; ; moment++) {
      InterruptedRandom random = new InterruptedRandom();
      try (EnvelopeRig rig = rig(POLICY, random)) {
        AtomicInteger reads = new AtomicInteger(moment);
        random.interruption =
            () ->
                rig.time.onRead(
                    () -> {
                      if (reads.decrementAndGet() == 0) {
                        rig.ciphers.discardDataKeys();
                      }
                    });
        rig.cipher().encrypt(MESSAGE, ROW);
        rig.time.onRead(() -> {});
        if (reads.get() > 0) {
          assertTrue(moment > 5, "moments tried: " + moment);
          return;
        }
        boolean madeAnother = encryptKeys(rig).loads() == 2;
        assertEquals(madeAnother ? 1 : 0, encryptKeys(rig).entries(), "moment " + moment);
        assertEquals(madeAnother ? 1 : 0, decryptKeys(rig).entries(), "moment " + moment);
      }
    }
  }

  @Test
  void spentKey_isNoHit() {
    try (EnvelopeRig rig = rig(POLICY.withMaxMessages(1), new SecureRandom())) {
      for (int i = 0; i < 3; i++) {
        rig.cipher().encrypt(MESSAGE, ROW);
        rig.cipher().encrypt(new byte[40_000], ROW);
      }
      assertEquals(0, encryptKeys(rig).hits());
      assertEquals(6, encryptKeys(rig).misses());
    }
    try (EnvelopeRig rig = rig(POLICY.withMaxMessages(2), new SecureRandom())) {
      for (int i = 0; i < 4; i++) {
        rig.cipher().encrypt(MESSAGE, ROW);
        rig.cipher().encrypt(new byte[40_000], ROW);
      }
      assertEquals(4, encryptKeys(rig).hits());
      assertEquals(4, encryptKeys(rig).misses());
    }
  }

  @Test
  void renewedKeyThatComesTooLate_isNotKeptToDecrypt() {
    try (EnvelopeRig rig = rig(POLICY.withMaxMessages(2), new SecureRandom())) {
      rig.cipher().encrypt(MESSAGE, ROW);
      rig.pass(SOFT);
      rig.cipher().encrypt(MESSAGE, ROW);
      rig.cipher().encrypt(MESSAGE, ROW); // under another key, as the first is exhausted
      runBackground();
      assertEquals(2, decryptKeys(rig).entries());
      assertEquals(1, encryptKeys(rig).entries());
    }
  }

  @Test
  void renewedKey_isKeptToDecryptOnceItIsUsed() {
    try (EnvelopeRig rig = rig(POLICY, new SecureRandom())) {
      rig.cipher().encrypt(MESSAGE, ROW);
      rig.pass(SOFT);
      rig.cipher().encrypt(MESSAGE, ROW);
      runBackground();
      byte[] envelope = rig.cipher().encrypt(MESSAGE, ROW);
      rig.cipher().decrypt(envelope, ROW);
      assertEquals(0, decryptKeys(rig).misses());
      assertEquals(2, decryptKeys(rig).entries());
    }
  }

  @Test
  void staleService_isCountedForEveryMessage() {
    try (EnvelopeRig rig = rig(POLICY, new SecureRandom())) {
      byte[] envelope = rig.cipher().encrypt(MESSAGE, ROW);
      rig.cipher().decrypt(envelope, ROW);
      rig.pass(SOFT);
      for (int i = 0; i < 7; i++) {
        rig.cipher().encrypt(MESSAGE, ROW);
        rig.cipher().decrypt(envelope, ROW);
      }
      assertEquals(7, encryptKeys(rig).staleServed());
      assertEquals(7, decryptKeys(rig).staleServed());
      assertEquals(8, decryptKeys(rig).hits());
    }
  }

  @Test
  void forgedWrapping_isNoHit() {
    try (EnvelopeRig rig = rig(POLICY, new SecureRandom())) {
      byte[] envelope = rig.cipher().encrypt(MESSAGE, ROW);
      byte[] forged = envelope.clone();
      // Behind the bytes of the wrapping by which keys are found.
      forged[EnvelopeHeader.NAME_POS + EnvelopeRig.NAME.length() + 30] ^= 1;
      try {
        rig.cipher().decrypt(forged, ROW);
      } catch (RuntimeException e) {
        assertEquals(0, decryptKeys(rig).hits());
        return;
      }
      throw new AssertionError("opened");
    }
  }
}
