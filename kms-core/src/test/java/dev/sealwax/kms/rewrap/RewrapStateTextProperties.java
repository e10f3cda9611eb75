package dev.sealwax.kms.rewrap;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.rewrap.RewrapFailure.Reason;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.RewrapException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.LongRange;
import net.jqwik.api.constraints.Size;

/** rewrap-checkpoint-v1: every state has one text, and no other text is read. */
class RewrapStateTextProperties {
  private static final KeysetId ORDERS = KeysetId.of("orders");

  private static RewrapState state(String source, String position, long count) {
    return new RewrapState(
        RewrapJob.MOVE,
        Instant.parse("2026-11-25T16:00:00Z"),
        List.of(source, "second"),
        0,
        position,
        List.of(new MoveTarget(ORDERS, 3, 12, Instant.parse("2026-11-25T12:00:00Z"))),
        new RewrapCounts(
            count, 1, 0, 2, 3, 4, 5, Map.of(Reason.NOT_AUTHENTIC, 6L, Reason.UNREADABLE, 7L)),
        List.of(new VersionCount(ORDERS, 1, 8, 9), new VersionCount(ORDERS, 3, 10, 11)));
  }

  @Property
  void everyState_comesBack(
      @ForAll String source, @ForAll String position, @ForAll @LongRange(min = 0) long count) {
    RewrapState state = state(text(source), text(position), count);
    String text = RewrapStateText.write(state);
    assertEquals(state, RewrapStateText.read(text));
    assertTrue(text.chars().allMatch(c -> c == '\n' || (c >= ' ' && c < 0x7F)));
  }

  @Property
  void everyChangedCharacter_isNoticed(
      @ForAll @IntRange(max = 600) int at, @ForAll char replacement) {
    StringBuilder text = new StringBuilder(RewrapStateText.write(state("s", "p", 5)));
    int index = at % text.length();
    if (text.charAt(index) != replacement) {
      text.setCharAt(index, replacement);
      assertCorrupted(text.toString());
    }
  }

  @Property
  void everyCut_isNoticed(@ForAll @IntRange(max = 600) int length) {
    String text = RewrapStateText.write(state("s", "p", 5));
    assertCorrupted(text.substring(0, length % text.length()));
    assertCorrupted(text + "x".repeat(1 + length % 3));
  }

  /** With a digest that fits: whoever edits by hand may know how. */
  @Property
  void everyLineThatIsMissingOrTwice_isNoticed(@ForAll @IntRange(max = 11) int line) {
    List<String> lines = RewrapStateText.write(state("s", "p", 5)).lines().toList();
    ArrayList<String> fewer = new ArrayList<>(lines.subList(0, lines.size() - 1));
    ArrayList<String> more = new ArrayList<>(fewer);
    String removed = fewer.remove(line);
    more.add(line, removed);
    // Some lines are optional, and what is left is another state; it must not be this one.
    for (List<String> edited : List.of(fewer, more)) {
      String text = digested(String.join("\n", edited) + "\n");
      try {
        assertTrue(!RewrapStateText.read(text).equals(state("s", "p", 5)));
        assertEquals(text, RewrapStateText.write(RewrapStateText.read(text)));
      } catch (RewrapException e) {
        assertEquals(RewrapException.Reason.CHECKPOINT_CORRUPTED, e.reason());
      }
    }
  }

  @Property
  void anyText_isReadOrRefusedAsCorrupted(@ForAll @Size(max = 12) List<String> lines) {
    assertCorrupted(String.join("\n", lines));
    assertCorrupted(digested(String.join("\n", lines) + "\n"));
    assertCorrupted(digested(RewrapStateText.FORMAT + "\n" + String.join("\n", lines) + "\n"));
  }

  /** Unpaired surrogates are no text and have no UTF-8. */
  private static String text(String any) {
    return new String(any.getBytes(StandardCharsets.UTF_8), StandardCharsets.UTF_8);
  }

  private static String digested(String body) {
    try {
      byte[] digest =
          MessageDigest.getInstance("SHA-256").digest(body.getBytes(StandardCharsets.UTF_8));
      return body + "sha256 " + HexFormat.of().formatHex(digest) + "\n";
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError(e);
    }
  }

  private static void assertCorrupted(String text) {
    assertEquals(
        RewrapException.Reason.CHECKPOINT_CORRUPTED,
        assertThrows(RewrapException.class, () -> RewrapStateText.read(text)).reason());
  }
}
