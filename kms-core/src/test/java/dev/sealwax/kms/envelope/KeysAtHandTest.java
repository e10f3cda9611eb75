package dev.sealwax.kms.envelope;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.sealwax.kms.cache.Held;
import dev.sealwax.kms.crypto.UsageBudget;
import dev.sealwax.kms.keyset.TestKeysets;
import dev.sealwax.kms.vocabulary.CacheStatistics;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyUnavailableException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.MalformedEnvelopeException;
import java.io.ByteArrayInputStream;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The short way to the data key of last time is no way around anything. */
@Timeout(60)
class KeysAtHandTest {
  private static final EncryptionContext ROW = EncryptionContext.of("row", "7");
  private static final byte[] MESSAGE = {1, 2, 3};

  private final EnvelopeRig rig = EnvelopeRig.create();
  private byte[] envelope;

  @BeforeEach
  void openTwice() {
    envelope = rig.cipher().encrypt(MESSAGE, ROW);
    rig.cipher().decrypt(envelope, ROW);
    rig.cipher().decrypt(envelope, ROW);
  }

  @AfterEach
  void close() {
    rig.close();
  }

  private CacheStatistics cache() {
    return rig.ciphers.statistics().decryptKeys();
  }

  @Test
  void hits_areCounted() {
    long before = cache().hits();
    rig.cipher().decrypt(envelope, ROW);
    rig.cipher().decrypt(envelope, ROW);
    assertEquals(before + 2, cache().hits());
  }

  @Test
  void hits_ofRefusedVersions_areCountedAsWell() throws Exception {
    byte[] large = rig.cipher().encrypt(new byte[40_000], ROW);
    rig.cipher().decrypt(large, ROW);
    rig.cipher().decrypt(large, ROW);
    rig.verbs().disable(EnvelopeRig.NAME, 1);
    for (byte[] each : List.of(envelope, large)) {
      // Once found in the cache, then at hand.
      long before = cache().hits();
      for (int i = 1; i <= 3; i++) {
        assertThrows(KeyUnavailableException.class, () -> rig.cipher().decrypt(each, ROW));
        assertThrows(
            KeyUnavailableException.class,
            () -> rig.cipher().decryptingStream(new ByteArrayInputStream(each), ROW).close());
        assertEquals(before + 2L * i, cache().hits());
      }
    }
  }

  @Test
  void disabledVersion_isRefusedAtOnce() {
    rig.verbs().disable(EnvelopeRig.NAME, 1);
    assertThrows(KeyUnavailableException.class, () -> rig.cipher().decrypt(envelope, ROW));
  }

  @Test
  void closedKey_isUnwrappedAgain() {
    rig.ciphers.discardDataKeys();
    assertArrayEquals(MESSAGE, rig.cipher().decrypt(envelope, ROW));
  }

  @Test
  void wipedKey_isLetGoOf() {
    KeysAtHand last = new KeysAtHand(rig.time);
    DataKey first = key();
    last.rememberToDecrypt(Held.uncached(first));
    byte[] start = first.header().toBytes();
    assertSame(first, last.toDecrypt(start));
    first.close();
    assertNull(last.toDecrypt(start));

    rig.pass(Duration.ofNanos(KeysAtHand.BELIEF_NANOS));
    DataKey second = key();
    last.rememberToDecrypt(Held.uncached(first));
    rig.pass(Duration.ofNanos(KeysAtHand.BELIEF_NANOS));
    last.rememberToDecrypt(Held.uncached(second));
    last.forget(first);
    assertSame(second, last.toDecrypt(second.header().toBytes()));
    second.close();
  }

  private static DataKey key() {
    return DataKey.generate(
        AlgorithmSuite.ONE_SHOT,
        KeysetId.of(EnvelopeRig.NAME),
        TestKeysets.keyEncryptionKey(1, new byte[32]),
        TestKeysets.consent(),
        new UsageBudget(1, 1),
        new SecureRandom(),
        new Traffic());
  }

  @Test
  void closedKeyOfAStream_isUnwrappedAgain() throws Exception {
    byte[] large = rig.cipher().encrypt(new byte[40_000], ROW);
    rig.cipher().decrypt(large, ROW);
    rig.cipher().decrypt(large, ROW);
    rig.ciphers.discardDataKeys();
    assertEquals(40_000, rig.cipher().decrypt(large, ROW).length);
  }

  @Test
  void shortBody_isMalformedAndNothingElse() {
    byte[] cut = Arrays.copyOf(envelope, envelope.length - MESSAGE.length - 1);
    assertThrows(MalformedEnvelopeException.class, () -> rig.cipher().decrypt(cut, ROW));
  }

  @Test
  void hardTimeToLive_isKept() {
    rig.pass(DataKeyPolicy.defaults().decryptCache().hardTtl().plus(Duration.ofSeconds(1)));
    long loads = cache().loads();
    rig.cipher().decrypt(envelope, ROW);
    assertEquals(loads + 1, cache().loads());
  }
}
