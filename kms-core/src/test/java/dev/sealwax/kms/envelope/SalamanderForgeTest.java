package dev.sealwax.kms.envelope;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Arrays;
import java.util.Random;
import javax.crypto.AEADBadTagException;
import javax.crypto.Cipher;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.SecretKeySpec;
import org.junit.jupiter.api.Test;

/** The forgeries are real: plain AES-GCM opens them under both keys. */
final class SalamanderForgeTest {
  private final Random random = new Random(20261124);

  @Test
  void forge_makesCiphertextThatOpensUnderBothKeys() throws Exception {
    for (int round = 0; round < 200; round++) {
      byte[] nonce = bytes(12);
      var a = new SalamanderForge.Reading(bytes(32), nonce);
      var b = new SalamanderForge.Reading(bytes(32), nonce);
      byte[] aad = bytes(round % 40);
      byte[] sealed = SalamanderForge.forge(a, b, aad, bytes(round % 9 * 16));
      byte[] readingA = open(a, aad, sealed);
      byte[] readingB = open(b, aad, sealed);
      assertEquals(sealed.length - 16, readingA.length);
      assertFalse(Arrays.equals(readingA, readingB), "two keys, two plaintexts");
    }
  }

  @Test
  void forge_servesTwoNonces() throws Exception {
    var a = new SalamanderForge.Reading(bytes(32), bytes(12));
    var b = new SalamanderForge.Reading(bytes(32), bytes(12));
    byte[] sealed = SalamanderForge.forge(a, b, new byte[0], bytes(64));
    assertEquals(80, open(a, new byte[0], sealed).length);
    assertEquals(80, open(b, new byte[0], sealed).length);
  }

  @Test
  void forge_makesNothingThatOpensUnderThirdKey() {
    byte[] nonce = bytes(12);
    byte[] sealed =
        SalamanderForge.forge(
            new SalamanderForge.Reading(bytes(32), nonce),
            new SalamanderForge.Reading(bytes(32), nonce),
            new byte[0],
            bytes(32));
    var third = new SalamanderForge.Reading(bytes(32), nonce);
    assertThrows(AEADBadTagException.class, () -> open(third, new byte[0], sealed));
  }

  private static byte[] open(SalamanderForge.Reading reading, byte[] aad, byte[] sealed)
      throws Exception {
    Cipher cipher = Cipher.getInstance("AES/GCM/NoPadding");
    cipher.init(
        Cipher.DECRYPT_MODE,
        new SecretKeySpec(reading.key(), "AES"),
        new GCMParameterSpec(128, reading.nonce()));
    cipher.updateAAD(aad);
    return cipher.doFinal(sealed);
  }

  private byte[] bytes(int length) {
    byte[] out = new byte[length];
    random.nextBytes(out);
    return out;
  }
}
