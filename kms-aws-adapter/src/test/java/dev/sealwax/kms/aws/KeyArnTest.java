package dev.sealwax.kms.aws;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Which keys are one key, decided without asking anybody. */
final class KeyArnTest {
  private static final String HERE = "arn:aws:kms:eu-west-1:111122223333:key/";
  private static final String SINGLE = HERE + "1234abcd-12ab-34cd-56ef-1234567890ab";
  private static final String REPLICATED = HERE + "mrk-1234abcd12ab34cd56ef1234567890ab";

  private static KeyArn arn(String text) {
    return Objects.requireNonNull(KeyArn.parse(text), text);
  }

  private static boolean same(String one, String other) {
    boolean same = arn(one).isSameKeyAs(arn(other));
    assertEquals(same, arn(other).isSameKeyAs(arn(one)), "symmetric");
    return same;
  }

  @Test
  void parse_ofAKey_givesItBack() {
    assertEquals(SINGLE, arn(SINGLE).toString());
    assertEquals(REPLICATED, arn(REPLICATED).toString());
    assertEquals("aws-us-gov", arn(SINGLE.replace(":aws:", ":aws-us-gov:")).partition());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "1234abcd-12ab-34cd-56ef-1234567890ab",
        "alias/root",
        "arn:aws:kms:eu-west-1:111122223333:alias/root",
        "arn:aws:kms:eu-west-1:111122223333:key/",
        "arn:aws:kms:eu-west-1:111122223333:key/a/b",
        "arn:aws:kms:eu-west-1:111122223333:key/a:b",
        "arn:aws:kms:eu-west-1::key/a",
        "arn:aws:kms::111122223333:key/a",
        "arn:aws:s3:eu-west-1:111122223333:key/a",
        "arn:aws:kms:eu-west-1:111122223333:key/a\n",
        " arn:aws:kms:eu-west-1:111122223333:key/a"
      })
  void parse_ofAnythingElse_isNull(String text) {
    assertNull(KeyArn.parse(text));
  }

  @Test
  void parse_ofNothing_isNull() {
    assertNull(KeyArn.parse(null));
  }

  @Test
  void isSameKeyAs_ignoresTheRegionOfMultiRegionKeysOnly() {
    assertTrue(same(SINGLE, SINGLE));
    assertTrue(same(REPLICATED, REPLICATED));
    assertTrue(same(REPLICATED, REPLICATED.replace("eu-west-1", "us-east-1")));
    assertFalse(same(SINGLE, SINGLE.replace("eu-west-1", "us-east-1")));
  }

  @Test
  void isSameKeyAs_ignoresNothingElse() {
    for (String key : new String[] {SINGLE, REPLICATED}) {
      assertFalse(same(key, key.replace(":aws:", ":aws-cn:")));
      assertFalse(same(key, key.replace("111122223333", "111122223334")));
      assertFalse(same(key, key + "0"));
    }
    assertFalse(same(SINGLE, REPLICATED));
    assertFalse(
        same(REPLICATED, HERE.replace("west", "central") + "1234abcd12ab34cd56ef1234567890ab"));
  }
}
