package dev.sealwax.kms.tink;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.crypto.tink.Aead;
import com.google.crypto.tink.aead.AeadParameters;
import com.google.crypto.tink.aead.ChaCha20Poly1305Parameters;
import com.google.crypto.tink.aead.KmsEnvelopeAead;
import com.google.crypto.tink.aead.PredefinedAeadParameters;
import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeInfo;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.testkit.FaultyRootKey.Fault;
import dev.sealwax.kms.vocabulary.DecryptionFailedException;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyUnavailableException;
import dev.sealwax.kms.vocabulary.MalformedEnvelopeException;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

final class TinkEnvelopesTest {
  private static final AeadParameters AES256_GCM = PredefinedAeadParameters.AES256_GCM;
  private static final byte[] PLAINTEXT = "4 lamps, blue".getBytes(StandardCharsets.UTF_8);
  private static final byte[] ROW = "order 42".getBytes(StandardCharsets.UTF_8);
  private static final byte[] OTHER_ROW = "order 43".getBytes(StandardCharsets.UTF_8);
  private static final byte[] NONE = {};

  private final TinkRig rig = new TinkRig();
  private TinkEnvelopes moved;
  private TinkEnvelopes moving;
  private byte[] old;

  @BeforeEach
  void encryptByTink() throws GeneralSecurityException {
    moved = TinkEnvelopes.of(AES256_GCM, rig.cipher);
    moving = moved.withOldKek(rig.oldKek);
    old = KmsEnvelopeAead.create(AES256_GCM, rig.oldKek).encrypt(PLAINTEXT, ROW);
  }

  @AfterEach
  void close() {
    rig.close();
  }

  private Aead tink() throws GeneralSecurityException {
    return KmsEnvelopeAead.create(AES256_GCM, SealwaxAead.of(rig.cipher));
  }

  /**
   * A ciphertext with any data key, encrypted as Tink would, and a payload that nobody looks at.
   */
  private static byte[] ciphertextOf(Aead kek, byte[] dataKey) throws GeneralSecurityException {
    byte[] encrypted = kek.encrypt(dataKey, NONE);
    return ByteBuffer.allocate(4 + encrypted.length + 40)
        .putInt(encrypted.length)
        .put(encrypted)
        .array();
  }

  // --- Tink and back ---

  @Test
  void encrypt_isWhatTinkWritesAndReads() throws Exception {
    assertArrayEquals(PLAINTEXT, tink().decrypt(moved.encrypt(PLAINTEXT, ROW), ROW));
    assertArrayEquals(PLAINTEXT, moved.decrypt(tink().encrypt(PLAINTEXT, ROW), ROW));
    assertArrayEquals(PLAINTEXT, moved.decrypt(moved.encrypt(PLAINTEXT, null), NONE));
    assertArrayEquals(PLAINTEXT, moved.decrypt(tink().encrypt(PLAINTEXT, NONE), null));
    assertArrayEquals(PLAINTEXT, moving.decrypt(old, ROW));
  }

  @Test
  void encrypt_whileMoving_usesTheKeyset() throws Exception {
    byte[] sealed = moving.encrypt(PLAINTEXT, ROW);

    assertEquals(TinkRig.NAME, TinkEnvelopes.inspect(sealed).orElseThrow().keyset().value());
    assertEquals(0, rig.oldKek.decryptions());
  }

  // --- re-homing ---

  @Test
  void rehome_needsNeitherPayloadNorAssociatedData() throws Exception {
    byte[] headerAlone = Arrays.copyOf(old, TinkVectorsTest.payloadPosition(old));

    byte[] rehomed = moving.rehome(headerAlone);

    byte[] joined =
        ByteBuffer.allocate(rehomed.length + TinkVectorsTest.payload(old).length)
            .put(rehomed)
            .put(TinkVectorsTest.payload(old))
            .array();
    assertArrayEquals(PLAINTEXT, tink().decrypt(joined, ROW));
  }

  @Test
  void rehome_ofWhatIsThere_verifiesAndReturnsItUnchanged() throws Exception {
    byte[] rehomed = moving.rehome(old);
    int asked = rig.oldKek.decryptions();

    assertArrayEquals(rehomed, moving.rehome(rehomed));
    assertArrayEquals(rehomed, moved.rehome(rehomed));

    assertEquals(asked, rig.oldKek.decryptions());
    byte[] forged = rehomed.clone();
    forged[TinkVectorsTest.payloadPosition(forged) - 1] ^= 1;
    assertInstanceOf(
        DecryptionFailedException.class, TinkRig.failureOf(() -> moving.rehome(forged)));
    byte[] ofGarbage = ciphertextOf(SealwaxAead.of(rig.cipher), PLAINTEXT);
    assertInstanceOf(
        MalformedEnvelopeException.class, TinkRig.failureOf(() -> moving.rehome(ofGarbage)));
  }

  @Test
  void rehome_doesNotTouchWhatItIsGiven() throws Exception {
    byte[] before = old.clone();
    byte[] rehomed = moving.rehome(old);
    byte[] again = moving.rehome(rehomed);
    again[again.length - 1] ^= 1;

    assertArrayEquals(before, old);
    assertArrayEquals(PLAINTEXT, moved.decrypt(rehomed, ROW));
  }

  @Test
  void rehome_wipesTheDataKey() throws Exception {
    List<byte[]> seen = new ArrayList<>();
    Aead watched =
        new Aead() {
          @Override
          public byte[] encrypt(byte[] plaintext, byte[] associatedData) {
            throw new AssertionError("the old key encrypts nothing any more");
          }

          @Override
          public byte[] decrypt(byte[] ciphertext, byte[] associatedData)
              throws GeneralSecurityException {
            assertEquals(0, associatedData.length);
            byte[] dataKey = rig.oldKek.decrypt(ciphertext, associatedData);
            seen.add(dataKey);
            return dataKey;
          }
        };

    moved.withOldKek(watched).rehome(old);
    moved.withOldKek(watched).decrypt(old, ROW);
    assertThrows(
        GeneralSecurityException.class, () -> moved.withOldKek(watched).decrypt(old, OTHER_ROW));

    assertEquals(3, seen.size());
    for (byte[] dataKey : seen) {
      assertArrayEquals(new byte[dataKey.length], dataKey);
    }
  }

  /** What the old key opens has to be a data key: else any of its ciphertexts could be moved. */
  @Test
  void rehome_ofSomethingElseThanADataKey_isRefused() throws Exception {
    for (byte[] noKey : List.of(NONE, PLAINTEXT, new byte[32], new byte[4000])) {
      byte[] ciphertext = ciphertextOf(rig.oldKek, noKey);

      MalformedEnvelopeException failure =
          assertInstanceOf(
              MalformedEnvelopeException.class, TinkRig.failureOf(() -> moving.rehome(ciphertext)));

      assertEquals("encrypted data key", failure.field());
      assertTrue(failure.getMessage().contains("AesGcmKey"), failure::getMessage);
      assertInstanceOf(
          MalformedEnvelopeException.class,
          TinkRig.failureOf(() -> moving.decrypt(ciphertext, ROW)));
    }
  }

  @Test
  void dataKeyOfAnotherKind_isRefused() throws Exception {
    TinkEnvelopes chaCha =
        TinkEnvelopes.of(ChaCha20Poly1305Parameters.create(), rig.cipher).withOldKek(rig.oldKek);
    TinkEnvelopes ctrHmac =
        TinkEnvelopes.of(PredefinedAeadParameters.AES128_CTR_HMAC_SHA256, rig.cipher)
            .withOldKek(rig.oldKek);
    for (TinkEnvelopes other : List.of(chaCha, ctrHmac)) {
      assertInstanceOf(
          MalformedEnvelopeException.class, TinkRig.failureOf(() -> other.rehome(old)));
      assertInstanceOf(
          MalformedEnvelopeException.class, TinkRig.failureOf(() -> other.decrypt(old, ROW)));
    }
  }

  /** As in Tink: the parameters say how new keys are made, the kind alone how old ones are read. */
  @Test
  void dataKeyOfAnotherSize_isRead() throws Exception {
    TinkEnvelopes aes128 =
        TinkEnvelopes.of(PredefinedAeadParameters.AES128_GCM, rig.cipher).withOldKek(rig.oldKek);

    assertArrayEquals(PLAINTEXT, aes128.decrypt(aes128.rehome(old), ROW));
  }

  /** Keys of these kinds look alike. What is moved so is not lost. */
  @Test
  void dataKeyOfAKindThatLooksTheSame_movesAndOpensAsWhatItIs() throws Exception {
    TinkEnvelopes xChaCha =
        TinkEnvelopes.of(PredefinedAeadParameters.XCHACHA20_POLY1305, rig.cipher)
            .withOldKek(rig.oldKek);

    byte[] rehomed = xChaCha.rehome(old);

    assertInstanceOf(
        DecryptionFailedException.class, TinkRig.failureOf(() -> xChaCha.decrypt(rehomed, ROW)));
    assertArrayEquals(PLAINTEXT, moved.decrypt(rehomed, ROW));
  }

  // --- which key is asked ---

  @Test
  void withoutTheOldKey_oldOnesAreRefusedAndMovedOnesOpen() throws Exception {
    byte[] rehomed = moving.rehome(old);

    assertArrayEquals(PLAINTEXT, moved.decrypt(rehomed, ROW));
    assertEquals(
        "encrypted data key",
        assertInstanceOf(
                MalformedEnvelopeException.class, TinkRig.failureOf(() -> moved.decrypt(old, ROW)))
            .field());
    assertInstanceOf(MalformedEnvelopeException.class, TinkRig.failureOf(() -> moved.rehome(old)));
    assertInstanceOf(MalformedEnvelopeException.class, TinkRig.failureOf(() -> moving.rewrap(old)));
  }

  @Test
  void outageOfTheKeyset_neverLeadsToTheOldKey() throws Exception {
    byte[] rehomed = moving.rehome(old);
    int asked = rig.oldKek.decryptions();
    rig.rootKey.always(Fault.failing(RootKeyException.Reason.UNAVAILABLE));
    try (Kms kms = rig.another()) {
      TinkEnvelopes cold =
          TinkEnvelopes.of(AES256_GCM, kms.envelopeCipher(TinkRig.NAME)).withOldKek(rig.oldKek);

      for (TinkRig.Call call :
          List.<TinkRig.Call>of(
              () -> cold.decrypt(rehomed, ROW),
              () -> cold.encrypt(PLAINTEXT, ROW),
              () -> cold.rehome(rehomed),
              () -> cold.rewrap(rehomed),
              () -> cold.reencrypt(rehomed, ROW, EncryptionContext.empty()))) {
        RootKeyException failure =
            assertInstanceOf(RootKeyException.class, TinkRig.failureOf(call));
        assertTrue(failure.reason().isRetryable());
      }
      assertEquals(asked, rig.oldKek.decryptions());
      // An outage in the middle: the old key answers, the keyset does not. Nothing is moved.
      assertInstanceOf(RootKeyException.class, TinkRig.failureOf(() -> cold.rehome(old)));
    }
    assertArrayEquals(PLAINTEXT, moving.decrypt(old, ROW));
  }

  @Test
  void failureOfTheOldKey_isPassedOnAndNothingElseIsAsked() {
    GeneralSecurityException outage = new GeneralSecurityException("the old KMS is away");
    Aead away =
        new Aead() {
          @Override
          public byte[] encrypt(byte[] plaintext, byte[] associatedData)
              throws GeneralSecurityException {
            throw outage;
          }

          @Override
          public byte[] decrypt(byte[] ciphertext, byte[] associatedData)
              throws GeneralSecurityException {
            throw outage;
          }
        };
    TinkEnvelopes cut = moved.withOldKek(away);

    assertSame(outage, TinkRig.thrownBy(() -> cut.decrypt(old, ROW)));
    assertSame(outage, TinkRig.thrownBy(() -> cut.rehome(old)));
    assertSame(outage, TinkRig.thrownBy(() -> cut.reencrypt(old, ROW, EncryptionContext.empty())));
    assertEquals(0, rig.kms.statistics().envelopes().failures());
  }

  @Test
  void wrongOldKey_opensNothing() {
    TinkEnvelopes wrong = moved.withOldKek(TinkRig.newKek());

    assertThrows(GeneralSecurityException.class, () -> wrong.decrypt(old, ROW));
    assertThrows(GeneralSecurityException.class, () -> wrong.rehome(old));
  }

  @Test
  void otherKeyset_isRefusedByName() throws Exception {
    rig.kms.keysets().create("other", KeysetTemplate.defaults());
    TinkEnvelopes other =
        TinkEnvelopes.of(AES256_GCM, rig.kms.envelopeCipher("other")).withOldKek(rig.oldKek);
    byte[] rehomed = moving.rehome(old);

    for (TinkRig.Call call :
        List.<TinkRig.Call>of(
            () -> other.decrypt(rehomed, ROW),
            () -> other.rehome(rehomed),
            () -> other.rewrap(rehomed))) {
      assertSame(
          KeyUnavailableException.Reason.OTHER_KEYSET,
          assertInstanceOf(KeyUnavailableException.class, TinkRig.failureOf(call)).reason());
    }
  }

  /** An application's own envelope is no data key, though the same keyset opens it. */
  @Test
  void envelopeOfTheApplication_isNoDataKey() throws Exception {
    byte[] dataKey = rig.oldKek.decrypt(TinkVectorsTest.encryptedDataKey(old), NONE);
    byte[] planted = rig.cipher.encrypt(dataKey, EncryptionContext.empty());
    byte[] payload = TinkVectorsTest.payload(old);
    byte[] ciphertext =
        ByteBuffer.allocate(4 + planted.length + payload.length)
            .putInt(planted.length)
            .put(planted)
            .put(payload)
            .array();

    assertInstanceOf(
        DecryptionFailedException.class, TinkRig.failureOf(() -> moved.decrypt(ciphertext, ROW)));
  }

  // --- afterwards ---

  @Test
  void rewrap_movesToThePrimaryWithoutChangingALength() throws Exception {
    byte[] rehomed = moving.rehome(old);
    rig.kms.keysets().rotate(TinkRig.NAME);

    byte[] rewrapped = moved.rewrap(rehomed);

    assertEquals(2, TinkEnvelopes.inspect(rewrapped).orElseThrow().keyVersion());
    assertEquals(rehomed.length, rewrapped.length);
    assertEquals(144 + TinkRig.NAME.length(), TinkVectorsTest.encryptedDataKey(rewrapped).length);
    assertArrayEquals(TinkVectorsTest.payload(old), TinkVectorsTest.payload(rewrapped));
    assertArrayEquals(rewrapped, moved.rewrap(rewrapped));
    rig.kms.keysets().disable(TinkRig.NAME, 1);
    assertArrayEquals(PLAINTEXT, tink().decrypt(rewrapped, ROW));
    assertInstanceOf(
        KeyUnavailableException.class, TinkRig.failureOf(() -> moved.decrypt(rehomed, ROW)));
  }

  @Test
  void reencrypt_makesAnEnvelopeOfTheContext() throws Exception {
    EncryptionContext context = EncryptionContext.of("table", "orders", "row", "42");
    for (byte[] ciphertext : List.of(old, moving.rehome(old))) {
      byte[] envelope = moving.reencrypt(ciphertext, ROW, context);

      assertEquals(TinkRig.NAME, EnvelopeInfo.inspect(envelope).keyset().value());
      assertArrayEquals(PLAINTEXT, rig.cipher.decrypt(envelope, context));
      assertThrows(
          DecryptionFailedException.class,
          () -> rig.cipher.decrypt(envelope, EncryptionContext.empty()));
      assertInstanceOf(
          DecryptionFailedException.class,
          TinkRig.failureOf(() -> moving.reencrypt(ciphertext, OTHER_ROW, context)));
    }
  }

  @Test
  void reencrypt_opensWhatACompromisedVersionWraps() throws Exception {
    byte[] rehomed = moving.rehome(old);
    rig.kms.keysets().rotate(TinkRig.NAME);
    rig.kms.keysets().compromise(TinkRig.NAME, 1);

    for (TinkRig.Call call :
        List.<TinkRig.Call>of(
            () -> moved.decrypt(rehomed, ROW),
            () -> moved.rewrap(rehomed),
            () -> moved.rehome(rehomed))) {
      assertSame(
          KeyUnavailableException.Reason.COMPROMISED,
          assertInstanceOf(KeyUnavailableException.class, TinkRig.failureOf(call)).reason());
    }
    EncryptionContext context = EncryptionContext.of("row", "42");
    assertArrayEquals(
        PLAINTEXT, rig.cipher.decrypt(moved.reencrypt(rehomed, ROW, context), context));
  }

  @Test
  void manyThreads_moveAndOpen() throws Exception {
    int threads = 8;
    int each = 200;
    Aead tink = KmsEnvelopeAead.create(AES256_GCM, rig.oldKek);
    ExecutorService executor = Executors.newFixedThreadPool(threads);
    try {
      List<Callable<Integer>> work = new ArrayList<>();
      for (int thread = 0; thread < threads; thread++) {
        byte[] data = {(byte) thread};
        work.add(
            () -> {
              int opened = 0;
              for (int i = 0; i < each; i++) {
                byte[] plaintext = ByteBuffer.allocate(4).putInt(i).array();
                byte[] rehomed = moving.rehome(tink.encrypt(plaintext, data));
                if (i == each / 2 && data[0] == 0) {
                  rig.kms.keysets().rotate(TinkRig.NAME);
                }
                byte[] message = moving.decrypt(moving.rewrap(rehomed), data);
                opened += Arrays.equals(plaintext, message) ? 1 : 0;
              }
              return opened;
            });
      }
      int opened = 0;
      for (Future<Integer> one : executor.invokeAll(work)) {
        opened += one.get();
      }
      assertEquals(threads * each, opened);
    } finally {
      executor.shutdownNow();
    }
  }

  @Test
  void closedOrNull_isAProgrammingError() {
    assertThrows(NullPointerException.class, () -> TinkEnvelopes.of(null, rig.cipher));
    assertThrows(NullPointerException.class, () -> TinkEnvelopes.of(AES256_GCM, null));
    assertThrows(NullPointerException.class, () -> moved.withOldKek(null));
    assertThrows(NullPointerException.class, () -> TinkEnvelopes.inspect(null));
    assertThrows(NullPointerException.class, () -> moving.decrypt(null, ROW));
    assertThrows(NullPointerException.class, () -> moving.rehome(null));
    assertThrows(NullPointerException.class, () -> moving.rewrap(null));
    assertThrows(NullPointerException.class, () -> moving.reencrypt(old, ROW, null));
    rig.kms.close();
    assertThrows(IllegalStateException.class, () -> moving.rehome(old));
    assertThrows(IllegalStateException.class, () -> moving.encrypt(PLAINTEXT, ROW));
  }

  @Test
  void text_namesKindAndKeyset() {
    assertEquals("TinkEnvelopes[AesGcmKey, orders]", moving.toString());
    assertFalse(moving.toString().contains("google"));
  }
}
