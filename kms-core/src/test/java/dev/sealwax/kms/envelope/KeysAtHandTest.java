package dev.sealwax.kms.envelope;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.sealwax.kms.cache.Held;
import dev.sealwax.kms.crypto.UsageBudget;
import dev.sealwax.kms.keyset.Keyset;
import dev.sealwax.kms.keyset.OpenKeyset;
import dev.sealwax.kms.keyset.TestKeysets;
import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.CacheStatistics;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyUnavailableException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.MalformedEnvelopeException;
import java.io.ByteArrayInputStream;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
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
    Keyset snapshot = rig.keysets.open(KeysetId.of(EnvelopeRig.NAME)).snapshot(0);
    first.markFitToEncrypt(snapshot);
    last.rememberToEncrypt(Held.uncached(first));
    byte[] start = first.header().toBytes();
    assertSame(first, last.toDecrypt(start));
    assertSame(first, last.toEncrypt(snapshot));
    first.close();
    assertNull(last.toDecrypt(start));
    assertNull(last.toEncrypt(snapshot));

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

  private CacheStatistics encryptCache() {
    return rig.ciphers.statistics().encryptKeys();
  }

  /** Two more of the one key: the second has it at hand. */
  private void encryptTwice() {
    rig.cipher().encrypt(MESSAGE, ROW);
    rig.cipher().encrypt(MESSAGE, ROW);
  }

  @Test
  void hitsOfEncryption_areCounted() {
    encryptTwice();
    CacheStatistics before = encryptCache();
    encryptTwice();
    assertEquals(before.hits() + 2, encryptCache().hits());
    assertEquals(before.misses(), encryptCache().misses());
  }

  @Test
  void longAndFreshMessages_takeNoKeyAtHand() {
    encryptTwice();
    long before = encryptCache().hits();
    byte[] large = rig.cipher().encrypt(new byte[40_000], ROW);
    byte[] moved = rig.cipher().reencrypt(envelope, ROW);
    assertEquals(before, encryptCache().hits());
    assertNotEquals(wrapping(envelope), wrapping(large));
    assertNotEquals(wrapping(envelope), wrapping(moved));
  }

  @Test
  void spentBudget_isCountedOnceAndMakesAnotherKey() {
    DataKeyPolicy policy = DataKeyPolicy.defaults().withMaxMessages(5);
    try (EnvelopeRig spent = EnvelopeRig.create(policy)) {
      List<String> wrappings = new ArrayList<>();
      for (int i = 0; i < 12; i++) {
        wrappings.add(wrapping(spent.cipher().encrypt(MESSAGE, ROW)));
      }
      assertEquals(1, Set.copyOf(wrappings.subList(0, 5)).size());
      assertEquals(1, Set.copyOf(wrappings.subList(5, 10)).size());
      assertEquals(3, Set.copyOf(wrappings).size());
      CacheStatistics cache = spent.ciphers.statistics().encryptKeys();
      assertEquals(3, cache.misses());
      assertEquals(9, cache.hits());
    }
  }

  @Test
  void rotation_isFollowedByTheNextMessage() {
    encryptTwice();
    rig.verbs().rotate(EnvelopeRig.NAME);
    assertEquals(2, EnvelopeHeader.parse(rig.cipher().encrypt(MESSAGE, ROW)).keyVersion());
  }

  @Test
  void closedKey_encryptsNothing() {
    encryptTwice();
    rig.ciphers.discardDataKeys();
    byte[] next = rig.cipher().encrypt(MESSAGE, ROW);
    assertNotEquals(wrapping(envelope), wrapping(next));
    assertArrayEquals(MESSAGE, rig.cipher().decrypt(next, ROW));
  }

  @Test
  void softTimeToLive_isKept() {
    Duration soft = Duration.ofNanos(KeysAtHand.BELIEF_NANOS).dividedBy(2);
    CachePolicy policy = CachePolicy.of(soft, Duration.ofHours(1), 10);
    List<Runnable> renewals = new ArrayList<>();
    try (EnvelopeRig stale =
        EnvelopeRig.create(
            DataKeyPolicy.defaults().withEncryptCache(policy).withDecryptCache(policy),
            EnvelopeRig.LONG,
            renewals::add,
            /* listener= */ null)) {
      byte[] first = stale.cipher().encrypt(MESSAGE, ROW);
      stale.cipher().encrypt(MESSAGE, ROW);
      stale.cipher().decrypt(first, ROW);
      stale.pass(soft);
      stale.cipher().encrypt(MESSAGE, ROW);
      stale.cipher().decrypt(first, ROW);
      assertEquals(1, stale.ciphers.statistics().encryptKeys().staleServed());
      assertEquals(1, stale.ciphers.statistics().decryptKeys().staleServed());
      assertEquals(2, renewals.size());
    }
  }

  @Test
  void belief_endsAfterASecond() {
    KeysAtHand hand = new KeysAtHand(rig.time);
    try (DataKey key = key()) {
      byte[] start = key.header().toBytes();
      Keyset snapshot = rig.keysets.open(KeysetId.of(EnvelopeRig.NAME)).snapshot(0);
      key.markFitToEncrypt(snapshot);
      hand.rememberToDecrypt(Held.uncached(key));
      hand.rememberToEncrypt(Held.uncached(key));
      rig.pass(Duration.ofSeconds(1).minusNanos(1));
      assertSame(key, hand.toDecrypt(start));
      assertSame(key, hand.toEncrypt(snapshot));
      rig.pass(Duration.ofNanos(1));
      assertNull(hand.toDecrypt(start));
      assertNull(hand.toEncrypt(snapshot));
    }
  }

  @Test
  void keyOfAnotherSnapshot_isNotAtHandToEncrypt() {
    KeysAtHand hand = new KeysAtHand(rig.time);
    OpenKeyset keyset = rig.keysets.open(KeysetId.of(EnvelopeRig.NAME));
    try (DataKey key = key()) {
      key.markFitToEncrypt(keyset.snapshot(0));
      hand.rememberToEncrypt(Held.uncached(key));
      rig.verbs().rotate(EnvelopeRig.NAME);
      assertNull(hand.toEncrypt(keyset.snapshot(0)));
    }
  }

  @Test
  void keyThatACacheHasDropped_encryptsNoMoreAndDecryptsUntilItIsWiped() {
    KeysAtHand hand = new KeysAtHand(rig.time);
    Keyset snapshot = rig.keysets.open(KeysetId.of(EnvelopeRig.NAME)).snapshot(0);
    DataKey key = key();
    byte[] start = key.header().toBytes();
    key.markFitToEncrypt(snapshot);
    hand.rememberToEncrypt(Held.uncached(key));
    hand.rememberToDecrypt(Held.uncached(key));
    key.shareOnce();
    key.close();
    assertNull(hand.toEncrypt(snapshot));
    assertSame(key, hand.toDecrypt(start));
    key.close();
    assertNull(hand.toDecrypt(start));
  }

  @Test
  void keyWipedBeforeItIsRemembered_isLetGoOf() {
    KeysAtHand hand = new KeysAtHand(rig.time);
    DataKey key = key();
    byte[] start = key.header().toBytes();
    key.close();
    hand.rememberToDecrypt(Held.uncached(key));
    assertNull(hand.toDecrypt(start));
  }

  private static String wrapping(byte[] envelope) {
    EnvelopeHeader header = EnvelopeHeader.parse(envelope);
    int start = header.wrappedDataKeyPosition();
    return HexFormat.of().formatHex(envelope, start, start + EnvelopeHeader.WRAPPED_LEN);
  }
}
