package dev.sealwax.kms.envelope;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import dev.sealwax.kms.keyset.KeyEncryptionKey;
import dev.sealwax.kms.keyset.TestKeysets;
import dev.sealwax.kms.vocabulary.DecryptionFailedException;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.security.GeneralSecurityException;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import javax.crypto.Cipher;
import org.junit.jupiter.api.Test;

/**
 * A thousand ciphertexts of each suite that plain AES-GCM opens under two keys ("invisible
 * salamanders"): none opens under a header that has anything to do with the other key.
 */
final class KeyCommitmentTest {
  private static final int ROUNDS = 1000;
  private static final String KEYSET = "orders";
  private static final EncryptionContext ROW = EncryptionContext.of("row", "42");
  private static final byte[] AAD = ROW.toCanonicalBytes();

  private final Random random = new Random(20261124);
  private final byte[] kekBytes = bytes(32);
  private final byte[][] wrapped = new byte[2][];
  private final byte[][] dataKeys = new byte[2][];

  @Test
  void decrypt_twoKeyCiphertextOfSuite1_opensUnderTheHeaderOfOneKeyOnly() throws Exception {
    try (VectorOpener opener = opener();
        KeyEncryptionKey kek = TestKeysets.keyEncryptionKey(1, kekBytes)) {
      int accepted = 0;
      for (int round = 0; round < ROUNDS; round++) {
        drawKeys(kek);
        byte[] nonce = bytes(12);
        byte[][] messageKeys = {derive("message-key", 0, 1), derive("message-key", 1, 1)};
        byte[] sealed =
            SalamanderForge.forge(
                new SalamanderForge.Reading(messageKeys[0], nonce),
                new SalamanderForge.Reading(messageKeys[1], nonce),
                AAD,
                bytes(round % 5 * 16));
        byte[][] readings = {
          ReferenceDecoder.gcm(Cipher.DECRYPT_MODE, messageKeys[0], nonce, AAD, sealed),
          ReferenceDecoder.gcm(Cipher.DECRYPT_MODE, messageKeys[1], nonce, AAD, sealed)
        };
        assertFalse(Arrays.equals(readings[0], readings[1]), "one ciphertext, two plaintexts");
        byte[] body = ReferenceDecoder.cat(nonce, sealed);
        for (int key = 0; key < 2; key++) {
          for (int commitment = 0; commitment < 2; commitment++) {
            byte[] header =
                EnvelopeHeader.of(
                        AlgorithmSuite.ONE_SHOT,
                        KeysetId.of(KEYSET),
                        1,
                        wrapped[key],
                        derive("commitment", commitment, 1))
                    .toBytes();
            if (key == commitment) {
              assertArrayEquals(
                  readings[key], opener.open(ROW, ReferenceDecoder.cat(header, body)));
            } else {
              accepted += accepted(opener, ReferenceDecoder.cat(header, body));
            }
          }
        }
      }
      assertEquals(0, accepted);
    }
  }

  @Test
  void decrypt_twoKeyCiphertextOfSuite2_opensUnderTheHeaderOfOneKeyOnly() throws Exception {
    try (VectorOpener opener = opener();
        KeyEncryptionKey kek = TestKeysets.keyEncryptionKey(1, kekBytes)) {
      int accepted = 0;
      for (int round = 0; round < ROUNDS; round++) {
        drawKeys(kek);
        byte[] salt = bytes(24);
        byte[][] schedules = {
          ReferenceDecoder.schedule(derive("message-key", 0, 2), salt, AAD),
          ReferenceDecoder.schedule(derive("message-key", 1, 2), salt, AAD)
        };
        byte[] chunk =
            SalamanderForge.forge(
                reading(schedules[0]), reading(schedules[1]), new byte[0], bytes(round % 5 * 16));
        byte[][] readings = {openRaw(schedules[0], chunk), openRaw(schedules[1], chunk)};
        assertFalse(Arrays.equals(readings[0], readings[1]), "one ciphertext, two plaintexts");
        for (int mix = 0; mix < 8; mix++) {
          int key = mix & 1;
          byte[] inHeader = derive("commitment", mix >> 1 & 1, 2);
          byte[] inBody = Arrays.copyOfRange(schedules[mix >> 2], 44, 76);
          byte[] header =
              EnvelopeHeader.of(
                      AlgorithmSuite.CHUNKED, KeysetId.of(KEYSET), 1, wrapped[key], inHeader)
                  .toBytes();
          byte[] envelope = ReferenceDecoder.cat(header, salt, inBody, chunk);
          if (mix == 0 || mix == 7) {
            assertArrayEquals(readings[key], opener.open(ROW, envelope));
          } else {
            accepted += accepted(opener, envelope);
          }
        }
      }
      assertEquals(0, accepted);
    }
  }

  private static int accepted(VectorOpener opener, byte[] envelope) {
    try {
      byte[] unused = opener.open(ROW, envelope);
      return 1;
    } catch (DecryptionFailedException e) {
      return 0;
    }
  }

  private VectorOpener opener() {
    return EnvelopeVectorOpener.create(
        KEYSET, List.of(new VectorOpener.Key(1, "ENABLED", kekBytes)));
  }

  private void drawKeys(KeyEncryptionKey kek) {
    for (int key = 0; key < 2; key++) {
      dataKeys[key] = bytes(32);
      wrapped[key] = kek.wrap(dataKeys[key]);
    }
  }

  private byte[] derive(String label, int key, int suite) throws GeneralSecurityException {
    return ReferenceDecoder.derive(KEYSET, label, dataKeys[key], suite);
  }

  private static SalamanderForge.Reading reading(byte[] schedule) {
    return new SalamanderForge.Reading(
        Arrays.copyOf(schedule, 32), Arrays.copyOfRange(schedule, 32, 44));
  }

  private static byte[] openRaw(byte[] schedule, byte[] chunk) throws GeneralSecurityException {
    SalamanderForge.Reading reading = reading(schedule);
    return ReferenceDecoder.gcm(Cipher.DECRYPT_MODE, reading.key(), reading.nonce(), null, chunk);
  }

  private byte[] bytes(int length) {
    byte[] out = new byte[length];
    random.nextBytes(out);
    return out;
  }
}
