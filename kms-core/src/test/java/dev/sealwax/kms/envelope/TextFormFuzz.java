package dev.sealwax.kms.envelope;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.sealwax.kms.vocabulary.MalformedEnvelopeException;
import java.nio.charset.StandardCharsets;

/**
 * No text makes the decoder fail in any other way than it says, and it takes canonical text only.
 */
final class TextFormFuzz {
  @FuzzTest
  void decode(byte[] bytes) {
    String text = new String(bytes, StandardCharsets.UTF_8);
    byte[] envelope;
    try {
      envelope = TextForm.decode(text);
    } catch (MalformedEnvelopeException e) {
      assertTrue(e.offset() >= 0 && e.offset() <= text.length(), e.getMessage());
      return;
    }
    assertEquals(text, TextForm.encode(envelope));
  }
}
