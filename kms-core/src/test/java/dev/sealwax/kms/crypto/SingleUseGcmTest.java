package dev.sealwax.kms.crypto;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.HexFormat;
import javax.crypto.AEADBadTagException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class SingleUseGcmTest {
  private static final byte[] KEY = new byte[SingleUseGcm.KEY_BYTES];
  private static final byte[] NONE = new byte[0];

  /** Test cases 13 and 14 of the GCM submission to NIST, which have key and nonce of zeros too. */
  @Test
  void seal_underZeros_isThePublishedResult() {
    assertEquals("530f8afbc74536b9a963b4f1c4cb738b", hex(SingleUseGcm.seal(KEY, NONE, NONE)));
    assertEquals(
        "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919",
        hex(SingleUseGcm.seal(KEY, NONE, new byte[16])));
  }

  @Test
  void open_ofSealed_isThePlaintext() throws AEADBadTagException {
    byte[] data = {1};
    byte[] plaintext = {2, 3};
    assertArrayEquals(
        plaintext, SingleUseGcm.open(KEY, data, SingleUseGcm.seal(KEY, data, plaintext)));
  }

  @Test
  void open_ofAnythingElse_throws() {
    byte[] sealed = SingleUseGcm.seal(KEY, new byte[] {1}, new byte[] {2, 3});
    byte[] otherKey = new byte[SingleUseGcm.KEY_BYTES];
    otherKey[0] = 1;
    assertThrows(AEADBadTagException.class, () -> SingleUseGcm.open(KEY, NONE, sealed));
    assertThrows(
        AEADBadTagException.class, () -> SingleUseGcm.open(otherKey, new byte[] {1}, sealed));
    assertThrows(AEADBadTagException.class, () -> SingleUseGcm.open(KEY, NONE, NONE));
    sealed[0] ^= 1;
    assertThrows(AEADBadTagException.class, () -> SingleUseGcm.open(KEY, new byte[] {1}, sealed));
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 16, 24, 31, 33})
  void sealAndOpen_withKeyOfAnotherLength_throw(int length) {
    byte[] key = new byte[length];
    assertThrows(IllegalArgumentException.class, () -> SingleUseGcm.seal(key, NONE, NONE));
    assertThrows(IllegalArgumentException.class, () -> SingleUseGcm.open(key, NONE, new byte[16]));
  }

  private static String hex(byte[] bytes) {
    return HexFormat.of().formatHex(bytes);
  }
}
