package dev.sealwax.kms.vocabulary;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class KeysetIdTest {
  static Stream<String> good() {
    return Stream.of("a", "0", "orders", "a.b_c-d", "0-", "x".repeat(64));
  }

  static Stream<String> bad() {
    return Stream.of(
        "",
        "x".repeat(65),
        ".a",
        "-a",
        "_a",
        "A",
        "a b",
        "a/b",
        "..",
        "a\0",
        "ä",
        "a\n",
        "ａ",
        "a:b");
  }

  @ParameterizedTest
  @MethodSource("good")
  void of_goodName_keepsIt(String name) {
    assertEquals(name, KeysetId.of(name).value());
    assertEquals(name, KeysetId.of(name).toString());
    assertTrue(KeysetId.isValid(name));
  }

  @ParameterizedTest
  @MethodSource("bad")
  void of_badName_isRefused(String name) {
    assertThrows(IllegalArgumentException.class, () -> KeysetId.of(name));
    assertFalse(KeysetId.isValid(name));
  }

  @Test
  void of_badCharacter_messageNamesPlaceAndCodePoint() {
    String message =
        assertThrows(IllegalArgumentException.class, () -> KeysetId.of("ab\n")).getMessage();
    assertTrue(message.contains("character 2 is U+000A"), message);
    assertFalse(message.contains("\n"), "a name must not forge a line of a log");
  }

  @Test
  void compareTo_isTheOrderOfNames() {
    assertEquals(
        List.of("a", "a-", "a0", "b"),
        Stream.of("b", "a0", "a-", "a").map(KeysetId::of).sorted().map(KeysetId::value).toList());
  }
}
