package dev.sealwax.kms.crypto;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.sealwax.kms.vocabulary.DecryptionFailedException;
import org.junit.jupiter.api.Test;

final class ChunkCipherTest {
  private final byte[] out = new byte[64];

  @Test
  void seal_sameOrEarlierChunkAgain_isRefused() {
    try (ChunkCipher cipher = cipher()) {
      cipher.seal(0, new byte[4], 0, 4, out, 0);
      cipher.seal(1, new byte[4], 0, 4, out, 0);

      assertThrows(IllegalStateException.class, () -> cipher.seal(1, new byte[4], 0, 4, out, 0));
      assertThrows(IllegalStateException.class, () -> cipher.seal(0, new byte[4], 0, 4, out, 0));
      assertEquals(20, cipher.seal(2, new byte[4], 0, 4, out, 0));
    }
  }

  @Test
  void seal_afterClose_isRefusedAndWritesNothing() {
    ChunkCipher cipher = cipher();
    cipher.close();
    cipher.close();

    assertThrows(IllegalStateException.class, () -> cipher.seal(0, new byte[4], 0, 4, out, 0));
    assertArrayEquals(new byte[64], out);
  }

  /** ENV-45. */
  @Test
  void sealAndOpen_afterTheLastChunkThereMayBe_areRefused() {
    try (ChunkCipher cipher = cipher()) {
      assertThrows(
          IllegalStateException.class,
          () -> cipher.seal(ChunkCipher.MAX_CHUNKS, new byte[4], 0, 4, out, 0));
      assertThrows(
          DecryptionFailedException.class,
          () -> cipher.open(ChunkCipher.MAX_CHUNKS, new byte[20], 0, 20, out, 0));
      assertEquals(20, cipher.seal(ChunkCipher.MAX_CHUNKS - 1, new byte[4], 0, 4, out, 0));
    }
  }

  @Test
  void wipedKey_isNoKeyOfZeros() {
    WipeableKey key = new WipeableKey(new byte[] {1, 2, 3}, "AES");
    assertArrayEquals(new byte[] {1, 2, 3}, key.getEncoded());

    key.destroy();

    assertThrows(IllegalStateException.class, key::getEncoded);
  }

  private static ChunkCipher cipher() {
    return new ChunkCipher(new byte[ChunkCipher.DERIVED_BYTES], null);
  }
}
