package dev.sealwax.kms.vocabulary;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Collections;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** What a context refuses, and its encoding by hand (envelope-v1 §5). */
final class EncryptionContextTest {
  private static final int ROOM_FOR_ONE_VALUE =
      EncryptionContext.MAX_ENCODED_BYTES - 2 - 2 - "k".length() - 2;

  private static String refusal(Executable making) {
    return assertThrows(IllegalArgumentException.class, making).getMessage();
  }

  @Test
  void of_oddNumberOfStrings_isRefused() {
    assertTrue(refusal(() -> EncryptionContext.of("k", "v", "k2")).contains("3 strings"));
    assertTrue(refusal(() -> EncryptionContext.of("k")).contains("1 strings"));
  }

  @Test
  void of_null_isRefused() {
    List<Executable> calls =
        List.of(
            () -> EncryptionContext.of((String[]) null),
            () -> EncryptionContext.of((Map<String, String>) null),
            () -> EncryptionContext.of(null, "v"),
            () -> EncryptionContext.of("k", null),
            () -> EncryptionContext.of(Collections.singletonMap("k", null)),
            () -> EncryptionContext.of(Collections.singletonMap(null, "v")));
    for (int i = 0; i < calls.size(); i++) {
      assertThrows(NullPointerException.class, calls.get(i), "call " + i);
    }
  }

  @Test
  void of_emptyKey_isRefused() {
    assertEquals("context key is empty", refusal(() -> EncryptionContext.of("", "v")));
    assertEquals("context key is empty", refusal(() -> EncryptionContext.of(Map.of("", "v"))));
  }

  @Test
  void of_emptyValue_isKept() {
    assertEquals(Map.of("k", ""), EncryptionContext.of("k", "").asMap());
  }

  @Test
  void of_repeatedKey_isRefused() {
    assertEquals(
        "context key is repeated; key (escaped): k",
        refusal(() -> EncryptionContext.of("k", "1", "k", "2")));
    assertEquals(
        "context key is repeated; key (escaped): k",
        refusal(() -> EncryptionContext.of("k", "same", "j", "x", "k", "same")));
    assertEquals(
        "context key is repeated; key (escaped): a\\u000ab\\ud800",
        refusal(() -> EncryptionContext.of("a\nb\ud800", "1", "a\nb\ud800", "2")));
  }

  @Test
  void of_unpairedSurrogate_isRefused_inKeyAndValue() {
    for (String bad :
        List.of("\ud800", "a\udbff", "\udc00", "a\udfffb", "\udc00\ud800", "\ud800\ud800\udc00")) {
      String inKey = refusal(() -> EncryptionContext.of(bad, "v"));
      assertTrue(inKey.contains("unpaired surrogate") && inKey.contains("\\ud"), inKey);
      String inValue = refusal(() -> EncryptionContext.of("the key", bad));
      assertTrue(inValue.contains("unpaired surrogate") && inValue.contains("the key"), inValue);
    }
    assertEquals(1, EncryptionContext.of("\ud83d\ude00", "\ud83d\ude00").asMap().size());
  }

  @Test
  void of_sixtyFourPairs_isTheLimit() {
    Map<String, String> pairs = new LinkedHashMap<>();
    for (int i = 0; i < EncryptionContext.MAX_PAIRS; i++) {
      pairs.put("k" + i, "v");
    }
    assertEquals(64, EncryptionContext.of(pairs).asMap().size());
    pairs.put("one more", "v");
    assertEquals(
        "context has 65 pairs, the limit is 64", refusal(() -> EncryptionContext.of(pairs)));
  }

  @Test
  void of_8192BytesEncoded_isTheLimit() {
    String longest = "x".repeat(ROOM_FOR_ONE_VALUE);
    assertEquals(8192, EncryptionContext.of("k", longest).toCanonicalBytes().length);
    for (Executable tooLarge :
        List.<Executable>of(
            () -> EncryptionContext.of("k", longest + "x"),
            () -> EncryptionContext.of("kk", longest),
            () -> EncryptionContext.of("k", "x".repeat(ROOM_FOR_ONE_VALUE - 2) + "€"),
            () -> EncryptionContext.of("k", longest, "l", ""),
            () -> EncryptionContext.of("k", longest.substring(1), "l", ""),
            () -> EncryptionContext.of("k".repeat(100_000), ""))) {
      assertEquals("context encodes to more than 8192 bytes", refusal(tooLarge));
    }
  }

  @Test
  void toCanonicalBytes_isCountThenPairsWithLengths() {
    EncryptionContext context = EncryptionContext.of("row", "42", "a", "", "é", "😀");

    assertEquals(
        "0003" + "000161" + "0000" + "0003726f77" + "00023432" + "0002c3a9" + "0004f09f9880",
        HexFormat.of().formatHex(context.toCanonicalBytes()));
    assertArrayEquals(new byte[2], EncryptionContext.empty().toCanonicalBytes());
  }

  @Test
  void toCanonicalBytes_ordersKeysByUtf16() {
    // U+FF5E sorts behind the first surrogate of U+1F600 in UTF-16 and before it in UTF-8.
    EncryptionContext context = EncryptionContext.of("～", "1", "😀", "2");

    assertEquals(
        "0002" + "0004f09f9880" + "000132" + "0003efbd9e" + "000131",
        HexFormat.of().formatHex(context.toCanonicalBytes()));
  }

  @Test
  void context_cannotBeChangedFromOutside() {
    Map<String, String> pairs = new LinkedHashMap<>(Map.of("k", "v"));
    EncryptionContext context = EncryptionContext.of(pairs);
    pairs.put("k2", "v2");
    context.toCanonicalBytes()[0] = 9;

    assertEquals(EncryptionContext.of("k", "v"), context);
    assertThrows(UnsupportedOperationException.class, () -> context.asMap().put("k3", "v3"));
    assertThrows(
        UnsupportedOperationException.class, () -> EncryptionContext.empty().asMap().put("k", "v"));
  }

  @Test
  void toString_hasKeysAndNoValues() {
    String text = EncryptionContext.of("tenant", "secret-name").toString();

    assertTrue(text.contains("tenant"), text);
    assertFalse(text.contains("secret-name"), text);
  }
}
