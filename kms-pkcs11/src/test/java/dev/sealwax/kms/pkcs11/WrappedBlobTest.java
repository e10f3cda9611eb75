package dev.sealwax.kms.pkcs11;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The bytes of pkcs11-root-key-v1; the values come from src/test/python. */
final class WrappedBlobTest {
  private static final byte[] ID = HexFormat.of().parseHex("00112233445566778899aabbccddeeff");
  private static final byte[] BINDING =
      HexFormat.of().parseHex("0a7075394e09d66ea66792b6d6e626c659ea72329d9c428833e058637c75c7ce");
  private static final byte[] SEALED =
      HexFormat.of()
          .parseHex(
              "ba1349c7d7534252e2c587470c7268fc1e0282009d21ada8244d4a90b8b2137b"
                  + "64440cb49712b8df2982d10e490a57f4cb82de4d1a44045f"
                  + "2810d22133971ee8dbcd4bb558af32c9");
  private static final byte[] SECRET =
      "the secret of the vector".getBytes(StandardCharsets.US_ASCII);

  private static byte[] count(int length) {
    byte[] bytes = new byte[length];
    for (int i = 0; i < length; i++) {
      bytes[i] = (byte) i;
    }
    return bytes;
  }

  private static WrappedBlob blob(WrapMechanism mechanism) {
    byte[] none = new byte[0];
    return switch (mechanism) {
      case AES_GCM -> new WrappedBlob(mechanism, ID, count(12 + 24 + 16), none, none);
      case AES_KW, AES_KWP -> new WrappedBlob(mechanism, ID, count(40), none, SEALED);
      case AES_CBC_HMAC -> new WrappedBlob(mechanism, ID, count(48), count(32), SEALED);
      case RSA_OAEP_SHA256, RSA_OAEP_SHA1 ->
          new WrappedBlob(mechanism, ID, count(256), count(256), SEALED);
    };
  }

  /** PKR-8: what is bound, and nothing else. */
  @Test
  void binding_isThatOfTheVector() {
    assertArrayEquals(
        BINDING, WrappedBlob.binding(WrapMechanism.AES_KW, ID, EncryptionContext.of("k", "v")));
  }

  /** PKR-10. */
  @Test
  void seal_givesTheVector() {
    assertArrayEquals(SEALED, SeedCipher.seal(count(32), BINDING, SECRET));
    assertArrayEquals(SECRET, SeedCipher.open(count(32), BINDING, SEALED));
  }

  @Test
  void authored_isThatOfTheVector() {
    assertEquals(
        "4cb2fc0a8c705d258eee8da996e2c860763a7e3e75f23ea82e9933fe25fa0221",
        HexFormat.of().formatHex(WrappedBlob.authored(BINDING, count(40), SEALED)));
  }

  /** PKR-11: commitment, ciphertext and tag. */
  @Test
  void open_ofEveryFlippedBit_isNull() {
    for (int bit = 0; bit < 8 * SEALED.length; bit++) {
      byte[] altered = SEALED.clone();
      altered[bit / 8] ^= (byte) (1 << bit % 8);
      assertNull(SeedCipher.open(count(32), BINDING, altered), "bit " + bit);
    }
    for (int length = 0; length < SEALED.length; length++) {
      assertNull(SeedCipher.open(count(32), BINDING, Arrays.copyOf(SEALED, length)));
    }
    assertNull(SeedCipher.open(new byte[32], BINDING, SEALED));
    assertNull(SeedCipher.open(count(32), new byte[32], SEALED));
  }

  /** PKR-4: one encoding for each content. */
  @ParameterizedTest
  @EnumSource(WrapMechanism.class)
  void decode_givesBackWhatWasEncoded(WrapMechanism mechanism) {
    byte[] bytes = blob(mechanism).encode();
    WrappedBlob decoded = WrappedBlob.decode(bytes);
    assertNotNull(decoded);
    assertEquals(mechanism, decoded.mechanism());
    assertArrayEquals(ID, decoded.keyId());
    assertArrayEquals(blob(mechanism).protectedPart(), decoded.protectedPart());
    assertArrayEquals(blob(mechanism).authenticator(), decoded.authenticator());
    assertArrayEquals(blob(mechanism).sealed(), decoded.sealed());
    assertArrayEquals(bytes, decoded.encode());
  }

  @Test
  void encode_beginsWithVersionMechanismAndId() {
    String hex = HexFormat.of().formatHex(blob(WrapMechanism.AES_CBC_HMAC).encode());
    assertTrue(hex.startsWith("010610" + HexFormat.of().formatHex(ID) + "0030"), hex);
  }

  /** PKR-4: lengths. */
  @ParameterizedTest
  @EnumSource(WrapMechanism.class)
  void decode_ofAnotherLengthOfAPart_isNull(WrapMechanism mechanism) {
    WrappedBlob right = blob(mechanism);
    if (!mechanism.usesSeed()) {
      assertNull(decoded(mechanism, count(12 + 16), new byte[0], new byte[0]));
      int most = 12 + KeyMaterial.MAX_BYTES + 16;
      assertNotNull(decoded(mechanism, count(most), new byte[0], new byte[0]));
      assertNull(decoded(mechanism, count(most + 1), new byte[0], new byte[0]));
      return;
    }
    assertNull(decoded(mechanism, new byte[0], right.authenticator(), SEALED));
    assertNull(decoded(mechanism, count(2049), right.authenticator(), SEALED));
    assertNull(decoded(mechanism, right.protectedPart(), count(2049), SEALED));
    assertNull(decoded(mechanism, right.protectedPart(), right.authenticator(), count(48)));
    int most = KeyMaterial.MAX_BYTES + 48;
    assertNotNull(decoded(mechanism, right.protectedPart(), right.authenticator(), count(most)));
    assertNull(decoded(mechanism, right.protectedPart(), right.authenticator(), count(most + 1)));
    if (!mechanism.isRsa()) {
      assertNull(decoded(mechanism, count(39), right.authenticator(), SEALED));
      assertNull(decoded(mechanism, right.protectedPart(), count(31), SEALED));
    } else {
      assertNull(decoded(mechanism, right.protectedPart(), new byte[0], SEALED));
    }
  }

  private static WrappedBlob decoded(
      WrapMechanism mechanism, byte[] part, byte[] authenticator, byte[] sealed) {
    return WrappedBlob.decode(new WrappedBlob(mechanism, ID, part, authenticator, sealed).encode());
  }

  /** PKR-1, PKR-4: ids of 1 to 32 bytes, known mechanisms, one version. */
  @Test
  void decode_ofAnUnknownHeader_isNull() {
    byte[] bytes = blob(WrapMechanism.AES_GCM).encode();
    for (int version = 0; version < 256; version++) {
      byte[] altered = bytes.clone();
      altered[0] = (byte) version;
      assertEquals(version == 1, WrappedBlob.decode(altered) != null, "version " + version);
    }
    for (int mechanism = 0; mechanism < 256; mechanism++) {
      byte[] altered = bytes.clone();
      altered[1] = (byte) mechanism;
      assertEquals(mechanism == 1, WrappedBlob.decode(altered) != null, "mechanism " + mechanism);
    }
    byte[] noId = bytes.clone();
    noId[2] = 0;
    assertNull(WrappedBlob.decode(noId));
    byte[] longId = Arrays.copyOf(bytes, 1000);
    longId[2] = 33;
    assertNull(WrappedBlob.decode(longId));
  }

  /** Whatever is read is what would be written. */
  @Test
  void decode_ofNoise_isNullOrCanonical() {
    Random random = new Random(7);
    int read = 0;
    for (int i = 0; i < 200_000; i++) {
      byte[] bytes = new byte[random.nextInt(200)];
      random.nextBytes(bytes);
      if (bytes.length > 3) {
        bytes[0] = 1;
        bytes[1] = (byte) (1 + random.nextInt(6));
        bytes[2] = (byte) random.nextInt(20);
      }
      WrappedBlob decoded = WrappedBlob.decode(bytes);
      if (decoded != null) {
        read++;
        assertArrayEquals(bytes, decoded.encode());
      }
    }
    assertTrue(read > 1000, "read only " + read);
  }

  /** PKR-6: the number that means two things is not among those that are used. */
  @Test
  void mechanismsOfCkm_areNever0x210A() {
    assertEquals(0x2109, Ck.CKM_AES_KEY_WRAP);
    assertEquals(0x210B, Ck.CKM_AES_KEY_WRAP_KWP);
    assertFalse(
        Arrays.stream(Ck.class.getDeclaredFields())
            .anyMatch(
                field -> {
                  try {
                    return field.getLong(null) == 0x210A;
                  } catch (IllegalAccessException e) {
                    throw new AssertionError(e);
                  }
                }));
  }
}
