package dev.sealwax.kms.pkcs11;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class Pkcs11UriTest {
  private static final TokenInfo TOKEN =
      new TokenInfo(3, "my token", "Acme", "HSM 2", "00ab", 0, 0);

  @Test
  void parse_ofEverything_readsEverything() {
    Pkcs11Uri uri =
        Pkcs11Uri.parse(
            "pkcs11:id=%01%fF;object=root%20key;token=my%20token;serial=00ab;model=HSM%202"
                + ";manufacturer=Acme");
    assertArrayEquals(new byte[] {1, (byte) 0xff}, uri.id());
    assertEquals("root key", uri.object());
    assertTrue(uri.matches(TOKEN));
    assertEquals(
        "pkcs11:token=my%20token;serial=00ab;manufacturer=Acme;model=HSM%202;object=root%20key"
            + ";id=%01%ff",
        uri.toString());
    assertEquals(uri, Pkcs11Uri.parse(uri.toString()));
    assertEquals(uri.hashCode(), Pkcs11Uri.parse(uri.toString()).hashCode());
  }

  /** RFC 7512 §3: the empty path is legal, and names everything. */
  @Test
  void parse_ofTheEmptyPath_namesNothing() {
    Pkcs11Uri uri = Pkcs11Uri.parse("pkcs11:");
    assertNull(uri.object());
    assertNull(uri.id());
    assertFalse(uri.namesToken());
    assertTrue(uri.matches(TOKEN));
    assertEquals("pkcs11:", uri.toString());
  }

  @Test
  void parse_takesTheSchemeInAnyCase() {
    assertEquals(Pkcs11Uri.parse("pkcs11:token=a"), Pkcs11Uri.parse("PKCS11:token=a"));
  }

  /** An id is bytes: plain characters stand for themselves. */
  @Test
  void parse_readsAnIdOfPlainCharacters() {
    assertArrayEquals(new byte[] {'a', '-', 1}, Pkcs11Uri.parse("pkcs11:id=a-%01").id());
  }

  @Test
  void parse_readsUtf8() {
    assertEquals("gr\u00fcn", Pkcs11Uri.parse("pkcs11:object=gr%C3%BCn").object());
    assertEquals("pkcs11:object=gr%c3%bcn", Pkcs11Uri.parse("pkcs11:object=gr%c3%bcn").toString());
  }

  @Test
  void parse_takesTheReservedCharactersOfThePath() {
    assertEquals(":[]@!$'()*+,=&", Pkcs11Uri.parse("pkcs11:object=:[]@!$'()*+,=&").object());
  }

  @Test
  void parse_ignoresQueryAttributesOfOthers() {
    assertEquals(Pkcs11Uri.parse("pkcs11:token=a"), Pkcs11Uri.parse("pkcs11:token=a?x-cache=1/2"));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "pkcs11",
        "token=a",
        "http:token=a",
        "pkcs11:token",
        "pkcs11:=a",
        "pkcs11:;",
        "pkcs11:token=a;",
        "pkcs11:;token=a",
        "pkcs11:token=a;token=a",
        "pkcs11:token=a;token=b",
        "pkcs11:id=%01;id=%01",
        "pkcs11:Token=a",
        "pkcs11:unknown=a",
        "pkcs11:x-vendor=a",
        "pkcs11:token=",
        "pkcs11:object=",
        "pkcs11:id=",
        "pkcs11:token=a b",
        "pkcs11:token=a%",
        "pkcs11:token=a%2",
        "pkcs11:token=a%2g",
        "pkcs11:token=a%+1",
        "pkcs11:token=a%00",
        "pkcs11:token=a%0a",
        "pkcs11:token=%ff",
        "pkcs11:token=gr\u00fcn",
        "pkcs11:token=a%\uff11\uff11",
        "pkcs11:token=a/b",
        "pkcs11:token=a#b",
        "pkcs11:slot-id=1",
        "pkcs11:type=private",
        "pkcs11:library-version=2.40",
        "pkcs11:token=a?module-path=/lib/x.so",
        "pkcs11:token=a?module-name=x",
        "pkcs11:token=a?x",
        "pkcs11:token=a?x=1&",
        "pkcs11:token=a?x=%zz",
        "pkcs11:token=a?x=a;b"
      })
  void parse_ofWhatIsNoUriOrCannotBeHonoured_isRefused(String text) {
    assertThrows(IllegalArgumentException.class, () -> Pkcs11Uri.parse(text));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "pkcs11:token=a?pin-value=s3cret",
        "pkcs11:token=a?pin-source=file:/s3cret",
        "pkcs11:token=a?pin-source=%7cs3cret",
        "pkcs11:token=a?x=1&pin-value=s3cret",
        "pkcs11:pin-value=s3cret",
        "pkcs11:token=s3cret%0a",
        "pkcs11:token=s3cret%"
      })
  void parse_ofAPin_isRefusedWithoutShowingIt(String text) {
    IllegalArgumentException refusal =
        assertThrows(IllegalArgumentException.class, () -> Pkcs11Uri.parse(text));
    assertFalse(refusal.getMessage().contains("s3cret"), refusal::getMessage);
  }

  /** PKR-1. */
  @Test
  void parse_limitsLabelsAndIds() {
    assertEquals(64, Pkcs11Uri.parse("pkcs11:object=" + "x".repeat(64)).object().length());
    assertThrows(
        IllegalArgumentException.class, () -> Pkcs11Uri.parse("pkcs11:object=" + "x".repeat(65)));
    assertEquals(32, Pkcs11Uri.parse("pkcs11:id=" + "%00".repeat(32)).id().length);
    assertThrows(
        IllegalArgumentException.class, () -> Pkcs11Uri.parse("pkcs11:id=" + "%00".repeat(33)));
    assertThrows(
        IllegalArgumentException.class,
        () -> Pkcs11Uri.parse("pkcs11:token=" + "x".repeat(Pkcs11Uri.MAX_LENGTH)));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "pkcs11:token=my",
        "pkcs11:token=my%20token;serial=00ac",
        "pkcs11:token=my%20token;model=HSM",
        "pkcs11:token=my%20token;manufacturer=acme"
      })
  void matches_whenAnyAttributeDiffers_isFalse(String text) {
    assertFalse(Pkcs11Uri.parse(text).matches(TOKEN));
  }

  @Test
  void equals_looksAtEveryPart() {
    Pkcs11Uri uri = Pkcs11Uri.parse("pkcs11:token=a;object=b;id=%01");
    assertNotEquals(uri, Pkcs11Uri.parse("pkcs11:token=b;object=b;id=%01"));
    assertNotEquals(uri, Pkcs11Uri.parse("pkcs11:token=a;object=c;id=%01"));
    assertNotEquals(uri, Pkcs11Uri.parse("pkcs11:token=a;object=b;id=%02"));
    assertNotEquals(uri, Pkcs11Uri.parse("pkcs11:token=a;object=b"));
  }
}
