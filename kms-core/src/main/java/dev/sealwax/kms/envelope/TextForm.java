package dev.sealwax.kms.envelope;

import dev.sealwax.kms.vocabulary.MalformedEnvelopeException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Base64;

/**
 * The envelope as text for JSON and SQL columns: {@code swx1.} and unpadded base64url. One text
 * exists for each envelope; anything else is rejected.
 */
final class TextForm {
  static final String PREFIX = "swx1.";

  /** Characters that hold the longest header: prefix and whole groups of four digits. */
  static final int MAX_HEADER_CHARS = PREFIX.length() + (EnvelopeHeader.MAX_LEN + 2) / 3 * 4; // 201

  private static final Base64.Encoder ENCODER = Base64.getUrlEncoder().withoutPadding();
  private static final int NOT_IN_ALPHABET = -1;
  private static final int[] VALUES = values();

  private TextForm() {}

  /**
   * The start of {@code text} that holds its header, cut where base64 can be cut; all of it if it
   * is short.
   */
  static String headerPart(String text) {
    return text.substring(0, Math.min(text.length(), MAX_HEADER_CHARS));
  }

  static String encode(byte[] envelope) {
    return PREFIX + ENCODER.encodeToString(envelope);
  }

  static byte[] decode(String text) {
    if (!text.startsWith(PREFIX)) {
      throw new MalformedEnvelopeException("text prefix", 0, "is not \"" + PREFIX + "\"");
    }
    int digits = text.length() - PREFIX.length();
    for (int i = PREFIX.length(); i < text.length(); i++) {
      char c = text.charAt(i);
      if (c >= VALUES.length || VALUES[c] == NOT_IN_ALPHABET) {
        throw new MalformedEnvelopeException(
            "text",
            i,
            String.format("holds U+%04X, which is not in the base64url alphabet", (int) c));
      }
    }
    // 2 digits carry 4 unused bits, 3 carry 2; RFC 4648 §3.5 lets a decoder insist on zeros, and
    // canonical text needs it.
    int unusedBits = digits % 4 == 2 ? 0b1111 : digits % 4 == 3 ? 0b11 : 0;
    if (digits % 4 == 1
        || (unusedBits != 0 && (VALUES[text.charAt(text.length() - 1)] & unusedBits) != 0)) {
      throw new MalformedEnvelopeException(
          "text", text.length() - 1L, "ends in a digit that base64url cannot end in");
    }
    return Base64.getUrlDecoder()
        .decode(text.substring(PREFIX.length()).getBytes(StandardCharsets.US_ASCII));
  }

  private static int[] values() {
    int[] values = new int[128];
    Arrays.fill(values, NOT_IN_ALPHABET);
    String alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (int i = 0; i < alphabet.length(); i++) {
      values[alphabet.charAt(i)] = i;
    }
    return values;
  }
}
