package dev.sealwax.kms.keyset;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

final class KeyStateTest {
  // Rows: from; columns: to, both in the order of the enum.
  private static final String TRANSITIONS =
      """
      PENDING               - y y y y -
      ENABLED               - - y y y -
      DISABLED              - y - y y -
      COMPROMISED           - - - - y -
      DESTRUCTION_SCHEDULED - - y y - y
      DESTROYED             - - - - - -
      """;

  // Columns: ENCRYPT DECRYPT REWRAP REENCRYPT.
  private static final String USES =
      """
      PENDING               - y y y
      ENABLED               y y y y
      DISABLED              - - - -
      COMPROMISED           - - - y
      DESTRUCTION_SCHEDULED - - - -
      DESTROYED             - - - -
      """;

  /** Cites KS-8. */
  @Test
  void canBecome_everyPair_isTheTableOfTheSpec() {
    StringBuilder actual = new StringBuilder();
    for (KeyState from : KeyState.values()) {
      actual.append(String.format("%-21s", from));
      for (KeyState to : KeyState.values()) {
        actual.append(from.canBecome(to) ? " y" : " -");
      }
      actual.append('\n');
    }
    assertEquals(TRANSITIONS, actual.toString());
  }

  /** Cites KS-7. */
  @Test
  void allows_everyPair_isTheTableOfTheSpec() {
    StringBuilder actual = new StringBuilder();
    for (KeyState state : KeyState.values()) {
      actual.append(String.format("%-21s", state));
      for (KeyUse use : KeyUse.values()) {
        actual.append(state.allows(use) ? " y" : " -");
      }
      actual.append('\n');
    }
    assertEquals(USES, actual.toString());
  }
}
