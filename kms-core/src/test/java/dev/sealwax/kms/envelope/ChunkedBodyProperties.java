package dev.sealwax.kms.envelope;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.vocabulary.DecryptionFailedException;
import net.jqwik.api.Example;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.LongRange;

/** The lengths of suite 2: envelope-v1 §8, ENV-26 and ENV-28. */
class ChunkedBodyProperties {
  private static final long PREFIX = 56;
  private static final long MOST_PLAINTEXT = (1L << 38) * 16384 - 1;

  @Property
  void plaintextLength_ofTheBodyOfALength_isThatLength(
      @ForAll @LongRange(max = MOST_PLAINTEXT) long plaintext) {
    long body = ChunkedBody.lengthFor(plaintext);

    assertEquals(PREFIX + plaintext + 16 * (plaintext / 16384 + 1), body);
    assertEquals(plaintext, ChunkedBody.plaintextLength(body - PREFIX));
  }

  @Property
  void plaintextLength_isForExactlyTheBodiesOfALength(
      @ForAll @LongRange(max = 1L << 52) long sealed) {
    if (sealed % 16400 < 16) {
      assertThrows(DecryptionFailedException.class, () -> ChunkedBody.plaintextLength(sealed));
    } else {
      assertEquals(PREFIX + sealed, ChunkedBody.lengthFor(ChunkedBody.plaintextLength(sealed)));
    }
  }

  @Example
  void plaintextLength_ofEveryLengthUpToThreeChunks_isRightOrRefused() {
    int refused = 0;
    for (long sealed = 0; sealed <= 3 * 16400; sealed++) {
      long length;
      try {
        length = ChunkedBody.plaintextLength(sealed);
      } catch (DecryptionFailedException e) {
        refused++;
        continue;
      }
      assertEquals(PREFIX + sealed, ChunkedBody.lengthFor(length));
    }
    assertEquals(3 * 16 + 1, refused, "each chunk has 16 lengths that nothing has");
    assertEquals(0, ChunkedBody.plaintextLength(16));
    assertEquals(16383, ChunkedBody.plaintextLength(16399));
    assertEquals(16384, ChunkedBody.plaintextLength(16416));
  }

  @Example
  void lengthFor_beyondTheLimits_isRefused() {
    assertTrue(ChunkedBody.lengthFor(MOST_PLAINTEXT) > MOST_PLAINTEXT);
    assertThrows(IllegalArgumentException.class, () -> ChunkedBody.lengthFor(MOST_PLAINTEXT + 1));
    assertThrows(IllegalArgumentException.class, () -> ChunkedBody.lengthFor(-1));
    assertThrows(IllegalArgumentException.class, () -> ChunkedBody.lengthFor(Long.MAX_VALUE));
  }
}
