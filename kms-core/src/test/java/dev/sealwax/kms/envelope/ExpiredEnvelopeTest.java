package dev.sealwax.kms.envelope;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.sealwax.kms.keyset.ManualTime;
import dev.sealwax.kms.keyset.RotationPolicy;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyUnavailableException;
import dev.sealwax.kms.vocabulary.KeyUnavailableException.Reason;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.time.Duration;
import java.time.Instant;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/**
 * No cache outlives the date on which a key expires: data keys live for two hours here and keysets
 * are looked at once a day.
 */
final class ExpiredEnvelopeTest {
  private static final EncryptionContext CONTEXT = EncryptionContext.empty();
  private static final Instant NOW = ManualTime.START;
  private static final byte[] MESSAGE = new byte[100];
  private static final byte[] LONG_MESSAGE = new byte[40_000];

  private final EnvelopeRig rig = EnvelopeRig.create();
  private final EnvelopeCipher cipher = rig.cipher();

  @AfterEach
  void close() {
    rig.close();
  }

  private static void assertExpired(Executable use) {
    assertEquals(Reason.EXPIRED, assertThrows(KeyUnavailableException.class, use).reason());
  }

  /** Cites KS-29. */
  @Test
  void keyset_cachesFull_everyOperationIsRefusedAtTheDate() {
    byte[] first = cipher.encrypt(MESSAGE, CONTEXT);
    rig.verbs().rotate(EnvelopeRig.NAME);
    rig.verbs().setExpiry(EnvelopeRig.NAME, NOW.plusSeconds(600));
    byte[] small = cipher.encrypt(MESSAGE, CONTEXT);
    byte[] large = cipher.encrypt(LONG_MESSAGE, CONTEXT);
    rig.pass(Duration.ofMillis(599_900));
    assertArrayEquals(MESSAGE, cipher.decrypt(small, CONTEXT));
    assertArrayEquals(MESSAGE, cipher.decrypt(first, CONTEXT));
    assertArrayEquals(LONG_MESSAGE, cipher.decrypt(large, CONTEXT));
    cipher.encrypt(MESSAGE, CONTEXT);
    rig.pass(Duration.ofMillis(100));
    assertExpired(() -> cipher.decrypt(small, CONTEXT));
    assertExpired(() -> cipher.decrypt(first, CONTEXT));
    assertExpired(() -> cipher.decrypt(large, CONTEXT));
    assertExpired(() -> cipher.encrypt(MESSAGE, CONTEXT));
    assertExpired(() -> cipher.encrypt(LONG_MESSAGE, CONTEXT));
    assertExpired(
        () ->
            cipher.encrypt(
                new ByteArrayInputStream(MESSAGE), new ByteArrayOutputStream(), CONTEXT));
    assertExpired(() -> cipher.rewrap(first));
    assertExpired(() -> cipher.rewrap(small));
    assertExpired(() -> cipher.reencrypt(small, CONTEXT));
  }

  /** Cites KS-29. */
  @Test
  void version_expired_theOthersGoOn() {
    byte[] first = cipher.encrypt(MESSAGE, CONTEXT);
    rig.verbs().rotate(EnvelopeRig.NAME);
    rig.verbs().setExpiry(EnvelopeRig.NAME, 1, NOW.plusSeconds(600));
    byte[] second = cipher.encrypt(MESSAGE, CONTEXT);
    rig.pass(Duration.ofSeconds(599));
    cipher.decrypt(first, CONTEXT);
    byte[] moved = cipher.rewrap(first);
    rig.pass(Duration.ofSeconds(1));
    assertExpired(() -> cipher.decrypt(first, CONTEXT));
    assertExpired(() -> cipher.rewrap(first));
    assertArrayEquals(MESSAGE, cipher.decrypt(second, CONTEXT));
    assertArrayEquals(MESSAGE, cipher.decrypt(moved, CONTEXT));
    assertEquals(2, EnvelopeInfo.inspect(cipher.encrypt(MESSAGE, CONTEXT)).keyVersion());
  }

  /** Cites KS-29. */
  @Test
  void primary_expired_noOtherVersionTakesItsPlace() {
    rig.verbs().setRotationPolicy(EnvelopeRig.NAME, RotationPolicy.manual());
    byte[] first = cipher.encrypt(MESSAGE, CONTEXT);
    rig.verbs().rotate(EnvelopeRig.NAME);
    rig.verbs().setExpiry(EnvelopeRig.NAME, 2, NOW.plusSeconds(600));
    cipher.encrypt(MESSAGE, CONTEXT);
    rig.pass(Duration.ofMinutes(10));
    assertExpired(() -> cipher.encrypt(MESSAGE, CONTEXT));
    assertExpired(() -> cipher.rewrap(first));
    assertArrayEquals(MESSAGE, cipher.decrypt(first, CONTEXT));
    rig.verbs().rotate(EnvelopeRig.NAME);
    assertEquals(3, EnvelopeInfo.inspect(cipher.encrypt(MESSAGE, CONTEXT)).keyVersion());
  }

  /** Cites KS-29. */
  @Test
  void versions_expireOneAfterTheOther() {
    byte[] first = cipher.encrypt(MESSAGE, CONTEXT);
    rig.verbs().rotate(EnvelopeRig.NAME);
    byte[] second = cipher.encrypt(MESSAGE, CONTEXT);
    rig.verbs().rotate(EnvelopeRig.NAME);
    rig.verbs().setExpiry(EnvelopeRig.NAME, 1, NOW.plusSeconds(600));
    rig.verbs().setExpiry(EnvelopeRig.NAME, 2, NOW.plusSeconds(601));
    rig.pass(Duration.ofMinutes(10));
    assertExpired(() -> cipher.decrypt(first, CONTEXT));
    assertArrayEquals(MESSAGE, cipher.decrypt(second, CONTEXT));
    rig.pass(Duration.ofSeconds(1));
    assertExpired(() -> cipher.decrypt(second, CONTEXT));
    cipher.encrypt(MESSAGE, CONTEXT);
  }
}
