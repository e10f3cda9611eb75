package dev.sealwax.kms.envelope;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.sealwax.kms.vocabulary.MalformedEnvelopeException;
import java.util.Arrays;

/**
 * No bytes make the header parser fail in any other way than it says, nor misread what it takes.
 */
final class EnvelopeHeaderFuzz {
  @FuzzTest
  void parse(byte[] bytes) {
    EnvelopeHeader header;
    try {
      header = EnvelopeHeader.parse(bytes);
    } catch (MalformedEnvelopeException e) {
      assertTrue(e.offset() >= 0 && e.offset() <= bytes.length, e.getMessage());
      return;
    }
    int wrappedAt = header.wrappedDataKeyPosition();
    byte[] again =
        EnvelopeHeader.of(
                header.suite(),
                header.keyset(),
                header.keyVersion(),
                Arrays.copyOfRange(bytes, wrappedAt, wrappedAt + EnvelopeHeader.WRAPPED_LEN),
                header.commitment())
            .toBytes();
    assertArrayEquals(Arrays.copyOf(bytes, again.length), again);
    assertTrue(header.isPrefixOf(bytes));
  }
}
