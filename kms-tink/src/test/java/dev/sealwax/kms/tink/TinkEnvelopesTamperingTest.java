package dev.sealwax.kms.tink;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.crypto.tink.aead.KmsEnvelopeAead;
import com.google.crypto.tink.aead.PredefinedAeadParameters;
import dev.sealwax.kms.vocabulary.DecryptionFailedException;
import dev.sealwax.kms.vocabulary.KeyUnavailableException;
import dev.sealwax.kms.vocabulary.KmsException;
import dev.sealwax.kms.vocabulary.MalformedEnvelopeException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.util.Arrays;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Whatever is done to a ciphertext, nothing opens but what was encrypted. */
final class TinkEnvelopesTamperingTest {
  private static final byte[] PLAINTEXT = "4 lamps, blue".getBytes(StandardCharsets.UTF_8);
  private static final byte[] ROW = "order 42".getBytes(StandardCharsets.UTF_8);

  private final TinkRig rig = new TinkRig();
  private TinkEnvelopes moved;
  private TinkEnvelopes moving;
  private byte[] old;
  private byte[] rehomed;

  @BeforeEach
  void rehome() throws GeneralSecurityException {
    moved = TinkEnvelopes.of(PredefinedAeadParameters.AES256_GCM, rig.cipher);
    moving = moved.withOldKek(rig.oldKek);
    old =
        KmsEnvelopeAead.create(PredefinedAeadParameters.AES256_GCM, rig.oldKek)
            .encrypt(PLAINTEXT, ROW);
    rehomed = moving.rehome(old);
  }

  @AfterEach
  void close() {
    rig.close();
  }

  @Test
  void everyFlippedBitOfARehomedOne_isRefused() {
    int payload = TinkVectorsTest.payloadPosition(rehomed);
    for (int i = 0; i < rehomed.length; i++) {
      for (int bit = 0; bit < 8; bit++) {
        byte[] forged = rehomed.clone();
        forged[i] ^= (byte) (1 << bit);
        String where = "byte " + i + " bit " + bit;

        KmsException failure = TinkRig.failureOf(() -> moved.decrypt(forged, ROW));

        if (i >= payload) {
          assertInstanceOf(DecryptionFailedException.class, failure, where);
        } else {
          assertTrue(
              failure instanceof DecryptionFailedException
                  || failure instanceof MalformedEnvelopeException
                  || failure instanceof KeyUnavailableException,
              () -> where + ": " + failure);
          assertThrows(KmsException.class, () -> moved.rehome(forged), where);
          // With the old key there, too: what looks like neither is refused by it.
          assertThrows(GeneralSecurityException.class, () -> moving.decrypt(forged, ROW), where);
        }
      }
    }
  }

  @Test
  void everyFlippedBitOfAnOldOne_isRefused() {
    for (int i = 0; i < old.length; i++) {
      for (int bit = 0; bit < 8; bit++) {
        byte[] forged = old.clone();
        forged[i] ^= (byte) (1 << bit);

        assertThrows(
            GeneralSecurityException.class,
            () -> moving.decrypt(forged, ROW),
            "byte " + i + " bit " + bit);
      }
    }
  }

  @Test
  void everyTruncationAndASurplusByte_areRefused() {
    for (byte[] whole : new byte[][] {old, rehomed}) {
      for (int length = 0; length < whole.length; length++) {
        byte[] cut = Arrays.copyOf(whole, length);
        assertThrows(GeneralSecurityException.class, () -> moving.decrypt(cut, ROW));
        if (length < TinkVectorsTest.payloadPosition(whole)) {
          assertInstanceOf(
              MalformedEnvelopeException.class, TinkRig.failureOf(() -> moving.rehome(cut)));
          assertInstanceOf(
              MalformedEnvelopeException.class, TinkRig.failureOf(() -> moving.rewrap(cut)));
        }
      }
      byte[] longer = Arrays.copyOf(whole, whole.length + 1);
      assertInstanceOf(
          DecryptionFailedException.class, TinkRig.failureOf(() -> moving.decrypt(longer, ROW)));
    }
  }

  @Test
  void lengthThatTinkDoesNotWrite_isRefusedBeforeAnyKeyIsAsked() {
    int asked = rig.oldKek.decryptions();
    for (int length :
        new int[] {0, -1, Integer.MIN_VALUE, Integer.MAX_VALUE, 4097, old.length, old.length - 3}) {
      byte[] forged = ByteBuffer.wrap(old.clone()).putInt(length).array();

      MalformedEnvelopeException failure =
          assertInstanceOf(
              MalformedEnvelopeException.class,
              TinkRig.failureOf(() -> moving.decrypt(forged, ROW)));

      assertEquals("length of the encrypted data key", failure.field());
      assertEquals(0, failure.offset());
      assertInstanceOf(
          MalformedEnvelopeException.class, TinkRig.failureOf(() -> moving.rehome(forged)));
    }
    assertEquals(asked, rig.oldKek.decryptions());
  }

  @Test
  void dataKeyThatBecomesTooLong_isNotWritten() {
    KmsEnvelope old = KmsEnvelope.parse(ByteBuffer.allocate(4 + 20).putInt(10).array());
    assertEquals(4 + 4096 + 10, old.withDataKey(new byte[4096]).length);
    assertThrows(MalformedEnvelopeException.class, () -> old.withDataKey(new byte[4097]));
  }

  /** The longest that Tink reads. */
  @Test
  void dataKeyOf4096Bytes_isAskedForAndALongerIsNot() {
    byte[] longest = ByteBuffer.allocate(4 + 4096).putInt(4096).array();

    assertThrows(GeneralSecurityException.class, () -> moving.decrypt(longest, ROW));

    assertEquals(2, rig.oldKek.decryptions());
    byte[] longer = ByteBuffer.allocate(4 + 4097).putInt(4097).array();
    assertInstanceOf(
        MalformedEnvelopeException.class, TinkRig.failureOf(() -> moving.decrypt(longer, ROW)));
  }

  /** The data key of one under the payload of another. */
  @Test
  void partsOfTwo_doNotOpen() throws Exception {
    byte[] other = moved.encrypt(PLAINTEXT, ROW);
    int payload = TinkVectorsTest.payloadPosition(rehomed);
    assertEquals(payload, TinkVectorsTest.payloadPosition(other));
    byte[] mixed = rehomed.clone();
    System.arraycopy(other, 0, mixed, 0, payload);

    assertInstanceOf(
        DecryptionFailedException.class, TinkRig.failureOf(() -> moved.decrypt(mixed, ROW)));
    assertArrayEquals(PLAINTEXT, moved.decrypt(rehomed, ROW));
  }

  @Test
  void inspect_needsTheStartOnly() {
    int headerEnd = 4 + TinkEnvelopes.inspect(rehomed).orElseThrow().headerLengthBytes();

    assertEquals(
        TinkEnvelopes.inspect(rehomed), TinkEnvelopes.inspect(Arrays.copyOf(rehomed, headerEnd)));
    assertTrue(TinkEnvelopes.inspect(Arrays.copyOf(rehomed, headerEnd - 1)).isEmpty());
    assertTrue(TinkEnvelopes.inspect(Arrays.copyOf(old, 10)).isEmpty());
    assertThrows(MalformedEnvelopeException.class, () -> TinkEnvelopes.inspect(new byte[3]));
    assertThrows(MalformedEnvelopeException.class, () -> TinkEnvelopes.inspect(new byte[4]));
  }
}
