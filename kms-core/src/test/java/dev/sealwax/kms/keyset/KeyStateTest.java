package dev.sealwax.kms.keyset;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.sealwax.kms.rootkey.RootKeyId;
import dev.sealwax.kms.rootkey.WrappedKey;
import java.time.Instant;
import java.util.EnumSet;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

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

  /** Cites KS-40. */
  @Test
  void compromised_everyState_isTheSentenceOfTheSpec() {
    Instant then = Instant.parse("2030-01-01T00:00:00Z");
    WrappedKey wrapped = WrappedKey.of(RootKeyId.of("local:00"), new byte[9]);
    Set<KeyState> either = EnumSet.of(KeyState.DESTRUCTION_SCHEDULED, KeyState.DESTROYED);
    for (KeyState state : KeyState.values()) {
      for (boolean compromised : new boolean[] {true, false}) {
        KeyVersion.Parts parts =
            new KeyVersion.Parts(1, state, then, state == KeyState.DESTROYED ? null : wrapped);
        parts.compromised = compromised;
        parts.destroyAt = state == KeyState.DESTRUCTION_SCHEDULED ? then : null;
        parts.destroyedAt = state == KeyState.DESTROYED ? then : null;
        Executable make = parts::join;
        if (either.contains(state) || compromised == (state == KeyState.COMPROMISED)) {
          assertDoesNotThrow(make, () -> state + " " + compromised);
        } else {
          assertThrows(IllegalArgumentException.class, make, () -> state + " " + compromised);
        }
      }
    }
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
