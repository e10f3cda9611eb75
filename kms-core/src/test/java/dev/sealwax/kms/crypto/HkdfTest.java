package dev.sealwax.kms.crypto;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class HkdfTest {
  /** RFC 5869 appendix A.1. */
  @Test
  void extractAndExpand_ofTestCase1_isTheRfcResult() {
    byte[] prk = Hkdf.extract(hex("000102030405060708090a0b0c"), hex("0b".repeat(22)));
    assertEquals("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5", hex(prk));
    assertEquals(
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        hex(Hkdf.expand(prk, hex("f0f1f2f3f4f5f6f7f8f9"), 42)));
  }

  /** RFC 5869 appendix A.2: longer than one block everywhere. */
  @Test
  void extractAndExpand_ofTestCase2_isTheRfcResult() {
    byte[] prk = Hkdf.extract(run(0x60, 80), run(0x00, 80));
    assertEquals("06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244", hex(prk));
    assertEquals(
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
            + "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
            + "cc30c58179ec3e87c14c01d5c1f3434f1d87",
        hex(Hkdf.expand(prk, run(0xb0, 80), 82)));
  }

  /** RFC 5869 appendix A.3, with the empty salt spelled out as it is defined: a hash of zeros. */
  @Test
  void extractAndExpand_ofTestCase3_isTheRfcResult() {
    byte[] prk = Hkdf.extract(new byte[32], hex("0b".repeat(22)));
    assertEquals("19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04", hex(prk));
    assertEquals(
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        hex(Hkdf.expand(prk, new byte[0], 42)));
  }

  @ParameterizedTest
  @ValueSource(ints = {0, -1, 255 * 32 + 1})
  void expand_toLengthOutsideTheRfc_throws(int length) {
    byte[] prk = new byte[32];
    assertThrows(IllegalArgumentException.class, () -> Hkdf.expand(prk, new byte[0], length));
  }

  @Test
  void label_endsInAZeroByte() {
    assertArrayEquals("ab\0".getBytes(StandardCharsets.US_ASCII), Hkdf.label("ab"));
  }

  private static byte[] run(int first, int length) {
    byte[] bytes = new byte[length];
    for (int i = 0; i < length; i++) {
      bytes[i] = (byte) (first + i);
    }
    return bytes;
  }

  private static byte[] hex(String text) {
    return HexFormat.of().parseHex(text);
  }

  private static String hex(byte[] bytes) {
    return HexFormat.of().formatHex(bytes);
  }
}
