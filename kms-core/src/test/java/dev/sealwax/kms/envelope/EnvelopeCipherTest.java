package dev.sealwax.kms.envelope;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.vocabulary.DecryptionFailedException;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyUnavailableException;
import dev.sealwax.kms.vocabulary.KeyUnavailableException.Reason;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import dev.sealwax.kms.vocabulary.KmsEvent;
import dev.sealwax.kms.vocabulary.KmsEvent.CacheResult;
import dev.sealwax.kms.vocabulary.KmsEvent.Operation;
import dev.sealwax.kms.vocabulary.MalformedEnvelopeException;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class EnvelopeCipherTest {
  private static final EncryptionContext ROW =
      EncryptionContext.of("table", "orders", "row", "secret-42");
  private static final EncryptionContext OTHER_ROW =
      EncryptionContext.of("table", "orders", "row", "secret-43");

  private final EnvelopeRig rig = EnvelopeRig.create();
  private final EnvelopeCipher cipher = rig.cipher();

  @AfterEach
  void close() {
    rig.close();
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 15, 16, 17, 1024, 32_768, 32_769, 49_152, 49_153, 200_000})
  void decrypt_whatWasEncrypted_isThePlaintext(int length) {
    byte[] plaintext = bytes(length);
    byte[] before = plaintext.clone();

    byte[] envelope = cipher.encrypt(plaintext, ROW);

    assertArrayEquals(before, plaintext, "the caller's array is not changed");
    assertArrayEquals(plaintext, cipher.decrypt(envelope, ROW));
    try (EnvelopeRig elsewhere = rig.another()) {
      assertArrayEquals(plaintext, elsewhere.cipher().decrypt(envelope, ROW));
    }
  }

  @Test
  void encrypt_upTo32KiB_takesTheOneShotSuiteAndAddsItsOverheadOnly() {
    byte[] envelope = cipher.encrypt(bytes(32_768), ROW);

    assertEquals(AlgorithmSuite.ONE_SHOT, EnvelopeInfo.inspect(envelope).suite());
    assertEquals(32_768 + 110 + EnvelopeRig.NAME.length(), envelope.length);
    assertEquals(
        AlgorithmSuite.CHUNKED, EnvelopeInfo.inspect(cipher.encrypt(bytes(32_769), ROW)).suite());
  }

  @Test
  void encrypt_sameMessageTwice_givesDifferentEnvelopes() {
    assertFalse(Arrays.equals(cipher.encrypt(bytes(64), ROW), cipher.encrypt(bytes(64), ROW)));
  }

  @Test
  void decrypt_withAnotherContext_fails() {
    for (int length : new int[] {10, 40_000}) {
      byte[] envelope = cipher.encrypt(bytes(length), ROW);
      for (EncryptionContext wrong :
          List.of(
              OTHER_ROW,
              EncryptionContext.empty(),
              EncryptionContext.of("table", "orders"),
              EncryptionContext.of("table", "orders", "row", "secret-42", "more", ""),
              EncryptionContext.of("table", "orders", "row", "secret-42 "))) {
        assertThrows(DecryptionFailedException.class, () -> cipher.decrypt(envelope, wrong));
      }
    }
  }

  @Test
  void decrypt_withTheContextInAnotherOrder_works() {
    byte[] envelope = cipher.encrypt(bytes(10), ROW);

    assertArrayEquals(
        bytes(10),
        cipher.decrypt(envelope, EncryptionContext.of("row", "secret-42", "table", "orders")));
  }

  @Test
  void decrypt_envelopeOfAnotherKeyset_saysSo() {
    rig.verbs().create("invoices", KeysetTemplate.defaults());
    byte[] envelope = rig.cipher("invoices").encrypt(bytes(10), ROW);

    for (int round = 0; round < 2; round++) {
      var failure =
          assertThrows(KeyUnavailableException.class, () -> cipher.decrypt(envelope, ROW));
      assertEquals(Reason.OTHER_KEYSET, failure.reason());
      assertTrue(failure.getMessage().contains("invoices"), failure.getMessage());
    }
    // A keyset whose name has the same length takes the cached path's position arithmetic to the
    // same place.
    rig.verbs().create("order5", KeysetTemplate.defaults());
    byte[] sameLength = rig.cipher("order5").encrypt(bytes(10), ROW);
    assertEquals(
        Reason.OTHER_KEYSET,
        assertThrows(KeyUnavailableException.class, () -> cipher.decrypt(sameLength, ROW))
            .reason());
  }

  @Test
  void encrypt_underAKeysetThatIsNotThere_saysSo() {
    var failure =
        assertThrows(KeysetStoreException.class, () -> rig.cipher("nobody").encrypt(bytes(1), ROW));

    assertEquals(KeysetStoreException.Reason.NOT_FOUND, failure.reason());
  }

  @Test
  void everyMethod_withNull_throwsNullPointerException() {
    byte[] some = cipher.encrypt(bytes(1), ROW);
    var in = new ByteArrayInputStream(some);
    var out = new ByteArrayOutputStream();
    List<Executable> calls =
        List.of(
            () -> cipher.encrypt((byte[]) nil(), ROW),
            () -> cipher.encrypt(some, nil()),
            () -> cipher.decrypt((byte[]) nil(), ROW),
            () -> cipher.decrypt(some, nil()),
            () -> cipher.rewrap((byte[]) nil()),
            () -> cipher.rewrap((java.nio.channels.SeekableByteChannel) nil()),
            () -> cipher.rewrapHeader(nil()),
            () -> cipher.rewrapText(nil()),
            () -> cipher.reencrypt(nil(), ROW),
            () -> cipher.reencrypt(some, nil()),
            () -> cipher.encryptToText(nil(), ROW),
            () -> cipher.encryptToText(some, nil()),
            () -> cipher.decryptText(nil(), ROW),
            () -> cipher.decryptText("", nil()),
            () -> cipher.encryptSplit(nil(), ROW),
            () -> cipher.decryptSplit(nil(), ROW),
            () -> cipher.decryptSplit(SplitEnvelope.of(some), nil()),
            () -> cipher.encrypt(nil(), out, ROW),
            () -> cipher.encrypt(in, nil(), ROW),
            () -> cipher.encrypt(in, out, nil()),
            () -> cipher.decrypt(nil(), out, ROW),
            () -> cipher.decrypt(in, nil(), ROW),
            () -> cipher.decrypt(in, out, nil()),
            () -> cipher.encryptingStream((java.io.OutputStream) nil(), ROW),
            () -> cipher.encryptingStream(out, nil()),
            () -> cipher.encryptingBodyStream(nil(), ROW),
            () -> cipher.encryptingBodyStream(out, nil()),
            () -> cipher.encryptingStream((java.io.InputStream) nil(), ROW),
            () -> cipher.encryptingStream(in, nil()),
            () -> cipher.decryptingStream(nil(), ROW),
            () -> cipher.decryptingStream(in, nil()),
            () -> cipher.decryptingStream(nil(), in, ROW),
            () -> cipher.decryptingStream(some, nil(), ROW),
            () -> cipher.decryptingStream(some, in, nil()),
            () -> cipher.decryptingChannel((java.nio.channels.ReadableByteChannel) nil(), ROW),
            () -> cipher.decryptingChannel((java.nio.channels.SeekableByteChannel) nil(), ROW),
            () -> EnvelopeInfo.inspect(nil()),
            () -> EnvelopeInfo.inspectText(nil()),
            () -> SplitEnvelope.of(nil()),
            () -> SplitEnvelope.of(nil(), some),
            () -> SplitEnvelope.of(some, nil()));
    for (int i = 0; i < calls.size(); i++) {
      assertThrows(NullPointerException.class, calls.get(i), "call " + i);
    }
  }

  @Test
  void rewrap_afterRotation_changesOnlyKeyVersionAndWrappedKey() {
    for (int length : new int[] {100, 50_000}) {
      byte[] envelope = cipher.encrypt(bytes(length), ROW);
      int primary = rig.verbs().rotate(EnvelopeRig.NAME).primary();

      byte[] moved = cipher.rewrap(envelope);

      EnvelopeInfo before = EnvelopeInfo.inspect(envelope);
      EnvelopeInfo after = EnvelopeInfo.inspect(moved);
      assertEquals(primary, after.keyVersion());
      assertNotEquals(before.keyVersion(), after.keyVersion());
      assertEquals(before.dataKeyId(), after.dataKeyId());
      assertEquals(envelope.length, moved.length);
      int untouched = before.headerLengthBytes() - EnvelopeHeader.COMMITMENT_LEN;
      assertArrayEquals(
          Arrays.copyOfRange(envelope, untouched, envelope.length),
          Arrays.copyOfRange(moved, untouched, moved.length));
      assertArrayEquals(bytes(length), cipher.decrypt(moved, ROW));
      assertArrayEquals(bytes(length), cipher.decrypt(envelope, ROW));
      assertThrows(DecryptionFailedException.class, () -> cipher.decrypt(moved, OTHER_ROW));
    }
  }

  @Test
  void rewrap_whenAlreadyUnderThePrimary_returnsTheSameBytesInAnotherArray() {
    byte[] envelope = cipher.encrypt(bytes(100), ROW);

    byte[] moved = cipher.rewrap(envelope);

    assertArrayEquals(envelope, moved);
    assertFalse(envelope == moved);
  }

  @Test
  void rewrap_ofAForgedHeader_fails_evenIfAlreadyUnderThePrimary() {
    byte[] envelope = cipher.encrypt(bytes(100), ROW);
    cipher.decrypt(envelope, ROW);
    envelope[
            EnvelopeHeader.NAME_POS
                + EnvelopeRig.NAME.length()
                + EnvelopeHeader.WRAPPED_POS
                + 20] ^=
        1;

    assertThrows(DecryptionFailedException.class, () -> cipher.rewrap(envelope));
    rig.verbs().rotate(EnvelopeRig.NAME);
    assertThrows(DecryptionFailedException.class, () -> cipher.rewrap(envelope));
  }

  @Test
  void rewrapHeader_ofASplitEnvelope_opensWithTheOldBody() {
    SplitEnvelope split = cipher.encryptSplit(bytes(100), ROW);
    rig.verbs().rotate(EnvelopeRig.NAME);

    byte[] header = cipher.rewrapHeader(split.header());

    assertEquals(split.header().length, header.length);
    assertArrayEquals(bytes(100), cipher.decryptSplit(SplitEnvelope.of(header, split.body()), ROW));
    assertArrayEquals(bytes(100), cipher.decrypt(split.join(), ROW));
  }

  @Test
  void decryptSplit_withBytesBehindTheHeader_isMalformed() {
    SplitEnvelope split = cipher.encryptSplit(bytes(100), ROW);
    byte[] longer = Arrays.copyOf(split.header(), split.header().length + 1);

    assertThrows(
        MalformedEnvelopeException.class,
        () -> cipher.decryptSplit(SplitEnvelope.of(longer, split.body()), ROW));
  }

  @Test
  void textForm_roundTripsAndMoves() {
    String text = cipher.encryptToText("café".getBytes(StandardCharsets.UTF_8), ROW);
    rig.verbs().rotate(EnvelopeRig.NAME);
    String moved = cipher.rewrapText(text);

    assertTrue(text.startsWith("swx1."), text);
    assertEquals("café", new String(cipher.decryptText(text, ROW), StandardCharsets.UTF_8));
    assertEquals("café", new String(cipher.decryptText(moved, ROW), StandardCharsets.UTF_8));
    assertEquals(2, EnvelopeInfo.inspectText(moved).keyVersion());
  }

  @Test
  void encrypt_afterRotation_usesTheNewVersion() {
    byte[] first = cipher.encrypt(bytes(10), ROW);
    rig.verbs().rotate(EnvelopeRig.NAME);
    byte[] second = cipher.encrypt(bytes(10), ROW);

    assertEquals(1, EnvelopeInfo.inspect(first).keyVersion());
    assertEquals(2, EnvelopeInfo.inspect(second).keyVersion());
    rig.verbs().promote(EnvelopeRig.NAME, 1);
    assertEquals(1, EnvelopeInfo.inspect(cipher.encrypt(bytes(10), ROW)).keyVersion());
  }

  @Test
  void disable_isRefusedByTheVeryNextOperation_cachedOrNot() {
    byte[] small = cipher.encrypt(bytes(10), ROW);
    byte[] large = cipher.encrypt(bytes(50_000), ROW);
    cipher.decrypt(small, ROW);
    cipher.decrypt(large, ROW);

    rig.verbs().disable(EnvelopeRig.NAME, 1);

    List<Executable> refused =
        List.of(
            () -> cipher.decrypt(small, ROW),
            () -> cipher.decrypt(large, ROW),
            () -> cipher.encrypt(bytes(10), ROW),
            () -> cipher.encrypt(bytes(50_000), ROW),
            () -> cipher.rewrap(small),
            () -> cipher.reencrypt(small, ROW),
            () -> cipher.encryptingStream(new ByteArrayOutputStream(), ROW),
            () -> cipher.decryptingStream(new ByteArrayInputStream(large), ROW));
    for (Executable call : refused) {
      assertEquals(Reason.DISABLED, assertThrows(KeyUnavailableException.class, call).reason());
    }
    rig.verbs().enable(EnvelopeRig.NAME, 1);
    assertArrayEquals(bytes(10), cipher.decrypt(small, ROW));
    assertArrayEquals(bytes(10), cipher.decrypt(cipher.encrypt(bytes(10), ROW), ROW));
  }

  @Test
  void compromised_isOpenToReencryptOnly_underAFreshDataKey() {
    byte[] envelope = cipher.encrypt(bytes(10), ROW);
    rig.verbs().rotate(EnvelopeRig.NAME);
    byte[] other = cipher.encrypt(bytes(10), ROW);
    rig.verbs().compromise(EnvelopeRig.NAME, 1);

    assertEquals(
        Reason.COMPROMISED,
        assertThrows(KeyUnavailableException.class, () -> cipher.decrypt(envelope, ROW)).reason());
    assertEquals(
        Reason.COMPROMISED,
        assertThrows(KeyUnavailableException.class, () -> cipher.rewrap(envelope)).reason());
    assertThrows(DecryptionFailedException.class, () -> cipher.reencrypt(envelope, OTHER_ROW));
    byte[] anew = cipher.reencrypt(envelope, ROW);
    assertArrayEquals(bytes(10), cipher.decrypt(anew, ROW));
    EnvelopeInfo info = EnvelopeInfo.inspect(anew);
    assertEquals(2, info.keyVersion());
    assertNotEquals(EnvelopeInfo.inspect(envelope).dataKeyId(), info.dataKeyId());
    assertNotEquals(EnvelopeInfo.inspect(other).dataKeyId(), info.dataKeyId());
  }

  @Test
  void decrypt_unknownVersion_saysSo() {
    byte[] envelope = cipher.encrypt(bytes(10), ROW);
    envelope[EnvelopeHeader.NAME_POS + EnvelopeRig.NAME.length() + 3] = 9;

    var failure = assertThrows(KeyUnavailableException.class, () -> cipher.decrypt(envelope, ROW));
    assertEquals(Reason.UNKNOWN_VERSION, failure.reason());
    assertEquals(9, failure.version());
  }

  @Test
  void strictMode_keepsNothing_andStillRoundTrips() {
    try (EnvelopeRig strict =
        EnvelopeRig.create(
            DataKeyPolicy.singleUse(),
            dev.sealwax.kms.vocabulary.CachePolicy.none(),
            Runnable::run,
            null)) {
      int before = strict.root.unwraps();
      byte[] one = strict.cipher().encrypt(bytes(10), ROW);
      byte[] two = strict.cipher().encrypt(bytes(10), ROW);

      assertNotEquals(EnvelopeInfo.inspect(one).dataKeyId(), EnvelopeInfo.inspect(two).dataKeyId());
      assertArrayEquals(bytes(10), strict.cipher().decrypt(one, ROW));
      assertArrayEquals(
          bytes(50_000), strict.cipher().decrypt(strict.cipher().encrypt(bytes(50_000), ROW), ROW));
      assertTrue(strict.root.unwraps() >= before + 4, "every use asks the root key");
      assertEquals(0, strict.ciphers.statistics().encryptKeys().hits());
      assertEquals(0, strict.ciphers.statistics().decryptKeys().hits());
    }
  }

  @Test
  void discardDataKeys_makesNewOnes_andOldEnvelopesOpen() {
    byte[] envelope = cipher.encrypt(bytes(10), ROW);

    rig.ciphers.discardDataKeys();

    assertArrayEquals(bytes(10), cipher.decrypt(envelope, ROW));
    assertNotEquals(
        EnvelopeInfo.inspect(envelope).dataKeyId(),
        EnvelopeInfo.inspect(cipher.encrypt(bytes(10), ROW)).dataKeyId());
  }

  @Test
  void warmUp_leavesNothingForTheFirstMessageToLoad() {
    cipher.warmUp();
    int calls = rig.root.unwraps() + rig.root.wraps();
    long loads = rig.ciphers.statistics().encryptKeys().loads();

    cipher.decrypt(cipher.encrypt(bytes(10), ROW), ROW);
    cipher.decrypt(cipher.encrypt(bytes(50_000), ROW), ROW);

    assertEquals(calls, rig.root.unwraps() + rig.root.wraps());
    assertEquals(loads, rig.ciphers.statistics().encryptKeys().loads());
  }

  @Test
  void afterClose_everyOperationFails() {
    byte[] envelope = cipher.encrypt(bytes(10), ROW);
    rig.close();

    assertThrows(IllegalStateException.class, () -> cipher.encrypt(bytes(10), ROW));
    assertThrows(IllegalStateException.class, () -> cipher.decrypt(envelope, ROW));
    assertThrows(IllegalStateException.class, () -> cipher.rewrap(envelope));
  }

  @Test
  void cipher_isTheSameObjectForAName() {
    assertSame(cipher, rig.cipher());
  }

  @Test
  void listener_hearsOfEveryOperationWithVersionAndCacheResult() {
    List<KmsEvent> events = new ArrayList<>();
    try (EnvelopeRig heard =
        EnvelopeRig.create(
            DataKeyPolicy.defaults(), EnvelopeRig.LONG, Runnable::run, events::add)) {
      EnvelopeCipher observed = heard.cipher();
      events.clear();
      byte[] envelope = observed.encrypt(bytes(10), ROW);
      observed.encrypt(bytes(10), ROW);
      observed.decrypt(envelope, ROW);
      assertThrows(DecryptionFailedException.class, () -> observed.decrypt(envelope, OTHER_ROW));
      heard.verbs().rotate(EnvelopeRig.NAME);
      observed.rewrap(envelope);
      observed.reencrypt(envelope, ROW);

      String story =
          events.stream()
              .filter(
                  e ->
                      !e.operation().name().startsWith("ROOT")
                          && !e.operation().name().startsWith("KEYSET"))
              .map(
                  e ->
                      e.operation()
                          + " v"
                          + e.keyVersion()
                          + " "
                          + e.cache()
                          + " "
                          + e.bytes()
                          + " "
                          + e.isSuccess())
              .collect(Collectors.joining("\n"));
      assertEquals(
          """
          ENCRYPT v1 MISS 10 true
          ENCRYPT v1 HIT 10 true
          DECRYPT v1 HIT 10 true
          DECRYPT v1 HIT 0 false
          REWRAP v2 NONE 0 true
          REENCRYPT v2 MISS 10 true\
          """,
          story);
      for (KmsEvent event : events) {
        assertFalse(event.toString().contains("secret-"), "no context value in " + event);
      }
      assertTrue(events.stream().anyMatch(e -> e.operation() == Operation.ROOT_WRAP));
      assertEquals(
          4, events.stream().filter(e -> e.cache() != CacheResult.NONE && e.isSuccess()).count());
    }
  }

  @Test
  void listener_thatThrows_harmsNothing() {
    try (EnvelopeRig heard =
        EnvelopeRig.create(
            DataKeyPolicy.defaults(),
            EnvelopeRig.LONG,
            Runnable::run,
            event -> {
              throw new IllegalArgumentException("listener");
            })) {
      assertArrayEquals(
          bytes(10), heard.cipher().decrypt(heard.cipher().encrypt(bytes(10), ROW), ROW));
    }
  }

  @Test
  void decrypt_ofTheBytesOfATextForm_saysSo() {
    byte[] text = cipher.encryptToText(bytes(10), ROW).getBytes(StandardCharsets.US_ASCII);
    MalformedEnvelopeException thrown =
        assertThrows(MalformedEnvelopeException.class, () -> cipher.decrypt(text, ROW));
    assertEquals("magic", thrown.field());
    assertTrue(thrown.getMessage().contains("use decryptText"), thrown::getMessage);
    MalformedEnvelopeException other =
        assertThrows(
            MalformedEnvelopeException.class,
            () -> cipher.decrypt(Arrays.copyOf(text, TextForm.PREFIX.length() - 1), ROW));
    assertFalse(other.getMessage().contains("decryptText"), other::getMessage);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 30, 63, 64})
  void inspectText_ofTheStartOfAText_isEnough(int nameLength) {
    String name = "n".repeat(nameLength);
    rig.verbs().create(name, KeysetTemplate.defaults());
    for (int length = 0; length < 100; length++) {
      String text = rig.cipher(name).encryptToText(bytes(length), ROW);
      EnvelopeInfo whole = EnvelopeInfo.inspectText(text);
      assertEquals(name, whole.keyset().value());
      for (int end = EnvelopeInfo.MAX_HEADER_CHARS; end < text.length(); end++) {
        assertEquals(whole, EnvelopeInfo.inspectText(text.substring(0, end)));
      }
    }
  }

  @Test
  void statistics_countMessagesBytesAndFailures() {
    byte[] envelope = cipher.encrypt(bytes(10), ROW);
    cipher.decrypt(envelope, ROW);
    assertThrows(DecryptionFailedException.class, () -> cipher.decrypt(envelope, OTHER_ROW));
    assertThrows(MalformedEnvelopeException.class, () -> cipher.decrypt(new byte[3], ROW));
    cipher.rewrap(envelope);

    EnvelopeStatistics statistics = rig.ciphers.statistics();
    assertEquals(1, statistics.messagesEncrypted());
    assertEquals(10, statistics.bytesEncrypted());
    assertEquals(1, statistics.messagesDecrypted());
    assertEquals(10, statistics.bytesDecrypted());
    assertEquals(1, statistics.headersRewrapped());
    assertEquals(2, statistics.failures());
  }

  @SuppressWarnings({"NullAway", "TypeParameterUnusedInFormals"})
  private static <T> T nil() {
    return null;
  }

  static byte[] bytes(int length) {
    byte[] bytes = new byte[length];
    new Random(length).nextBytes(bytes);
    return bytes;
  }
}
