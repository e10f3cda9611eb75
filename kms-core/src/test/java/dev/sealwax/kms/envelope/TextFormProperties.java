package dev.sealwax.kms.envelope;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.vocabulary.MalformedEnvelopeException;
import java.util.Arrays;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Example;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;

/** One envelope, one text: envelope-v1 §9. */
class TextFormProperties {
  @Property
  void decode_whatWasEncoded_isTheEnvelope(@ForAll @Size(max = 300) byte[] envelope) {
    String text = TextForm.encode(envelope);

    assertTrue(text.matches("swx1\\.[A-Za-z0-9_-]*"), text);
    assertArrayEquals(envelope, TextForm.decode(text));
  }

  @Provide
  Arbitrary<String> digits() {
    return Arbitraries.oneOf(
        Arbitraries.strings()
            .withChars("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
            .ofMaxLength(40),
        Arbitraries.strings().withChars("AQgw048_-=+/ \n\u0141").ofMaxLength(8),
        Arbitraries.strings().ofMaxLength(8));
  }

  @Property
  void decode_whatItAccepts_encodesToTheSameText(@ForAll("digits") String digits) {
    String text = TextForm.PREFIX + digits;
    byte[] envelope;
    try {
      envelope = TextForm.decode(text);
    } catch (MalformedEnvelopeException e) {
      assertEquals("text", e.field());
      assertTrue(e.offset() >= 5 && e.offset() < text.length(), e.getMessage());
      return;
    }
    assertEquals(text, TextForm.encode(envelope));
  }

  @Example
  void decode_everyOtherCharacter_isRefusedAtItsPlace() {
    String alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (char c = 0; c < Character.MAX_VALUE; c++) {
      if (alphabet.indexOf(c) < 0) {
        String text = TextForm.PREFIX + "AA" + c + "A";
        MalformedEnvelopeException refusal =
            assertThrows(MalformedEnvelopeException.class, () -> TextForm.decode(text));
        assertEquals(TextForm.PREFIX.length() + 2, refusal.offset());
      }
    }
  }

  @Property
  void decode_editedText_isRefusedOrAnotherEnvelope(
      @ForAll @Size(min = 1, max = 60) byte[] envelope,
      @ForAll @IntRange(max = 100) int position,
      @ForAll @IntRange(max = 2) int edit,
      @ForAll("edits") char c) {
    String text = TextForm.encode(envelope);
    int at = position % text.length();
    String edited =
        switch (edit) {
          case 0 -> text.substring(0, at) + c + text.substring(at);
          case 1 -> text.substring(0, at) + text.substring(at + 1);
          default -> text.substring(0, at) + c + text.substring(at + 1);
        };
    if (edited.equals(text)) {
      return;
    }
    byte[] decoded;
    try {
      decoded = TextForm.decode(edited);
    } catch (MalformedEnvelopeException e) {
      assertTrue(e.field().equals("text") || e.field().equals("text prefix"), e.getMessage());
      return;
    }
    assertFalse(Arrays.equals(envelope, decoded), () -> text + " and " + edited);
  }

  @Provide
  Arbitrary<Character> edits() {
    return Arbitraries.oneOf(
        Arbitraries.chars()
            .with("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
        Arbitraries.chars().with("=+/ \n.\u0141"));
  }
}
