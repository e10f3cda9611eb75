package dev.sealwax.kms.envelope;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.sealwax.kms.vocabulary.DecryptionFailedException;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyUnavailableException;
import dev.sealwax.kms.vocabulary.KmsException;
import dev.sealwax.kms.vocabulary.MalformedEnvelopeException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Which of several faults of one input is reported: the first of the specification's order. */
final class FaultOrderTest {
  private static final EncryptionContext CONTEXT = EncryptionContext.of("row", "1");
  private static final int NAME = 6;
  private static final int VERSION_AT = NAME + EnvelopeRig.NAME.length();
  private static final int WRAPPED_AT = VERSION_AT + Integer.BYTES;
  private static final int HEADER = EnvelopeRig.NAME.length() + 82;

  private final EnvelopeRig rig = EnvelopeRig.create();

  /** A fault to be put into an envelope of the keyset, and what it is reported as if alone. */
  private record Fault(String outcome, UnaryOperator<byte[]> edit) {}

  // Those of §4 that one envelope of suite 1 can have beside each other, in the order of its table,
  // then §13.
  private static final List<Fault> FAULTS =
      List.of(
          new Fault("malformed magic", set(0, 'X')),
          new Fault("malformed format version", set(3, 2)),
          new Fault("malformed suite", set(4, 9)),
          new Fault("malformed keyset name length", set(5, 65)),
          new Fault("malformed keyset name", set(NAME + 1, '/')),
          new Fault("malformed key version", set(VERSION_AT, 0x80)),
          new Fault("malformed wrapped data key", cut(WRAPPED_AT + 39)),
          new Fault("malformed commitment", cut(HEADER - 1)),
          new Fault("malformed body", cut(HEADER + 27)),
          new Fault("OTHER_KEYSET", set(NAME, 'x')),
          new Fault("UNKNOWN_VERSION", set(VERSION_AT + 3, 77)),
          new Fault("decryption failed", set(WRAPPED_AT, 0)));

  private static UnaryOperator<byte[]> set(int at, int value) {
    return envelope -> {
      byte[] edited = envelope.clone();
      edited[at] = (byte) (edited[at] == (byte) value ? value + 1 : value);
      return edited;
    };
  }

  private static UnaryOperator<byte[]> cut(int length) {
    return envelope -> Arrays.copyOf(envelope, Math.min(envelope.length, length));
  }

  @AfterEach
  void close() {
    rig.close();
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void envelope_withAnySetOfFaults_reportsTheFirst(boolean versionIsDisabled) {
    byte[] good = rig.cipher().encrypt(new byte[100], CONTEXT);
    assertArrayEquals(new byte[100], rig.cipher().decrypt(good, CONTEXT));
    if (versionIsDisabled) {
      rig.verbs().rotate(EnvelopeRig.NAME);
      rig.verbs().disable(EnvelopeRig.NAME, 1);
      assertEquals("DISABLED", outcomeOf(() -> rig.cipher().decrypt(good, CONTEXT)));
    }
    for (int set = 1; set < 1 << FAULTS.size(); set++) {
      byte[] bad = good;
      List<String> outcomes = new ArrayList<>();
      for (int i = 0; i < FAULTS.size(); i++) {
        if ((set >> i & 1) != 0) {
          bad = FAULTS.get(i).edit.apply(bad);
          outcomes.add(FAULTS.get(i).outcome);
        }
      }
      String first = outcomes.get(0);
      byte[] input = bad;
      String expected = versionIsDisabled && first.equals("decryption failed") ? "DISABLED" : first;
      assertEquals(
          expected, outcomeOf(() -> rig.cipher().decrypt(input, CONTEXT)), outcomes::toString);
    }
  }

  @Test
  void text_withAnySetOfFaults_reportsTheFirst() {
    // Ten digits: four bits of the last one are unused.
    String good = "swx1.AAAAAAAAAA";
    for (int set = 1; set < 8; set++) {
      boolean prefix = (set & 1) != 0;
      boolean character = (set & 2) != 0;
      boolean bits = (set & 4) != 0;
      String text = good;
      text = bits ? text.substring(0, text.length() - 1) + "B" : text;
      text = character ? text.substring(0, 7) + "=" + text.substring(8) : text;
      text = prefix ? "SWX1." + text.substring(5) : text;
      requireMalformed(text, prefix ? "text prefix" : "text", prefix ? 0 : character ? 7 : 14);
      // Another fault of the end, a length of 1 modulo 4, in the place of that one.
      requireMalformed(
          text + "AAA", prefix ? "text prefix" : "text", prefix ? 0 : character ? 7 : 17);
    }
  }

  private static void requireMalformed(String text, String field, long offset) {
    MalformedEnvelopeException failure =
        assertThrows(MalformedEnvelopeException.class, () -> TextForm.decode(text), text);
    assertEquals(field, failure.field(), text);
    assertEquals(offset, failure.offset(), text);
  }

  private static String outcomeOf(Runnable operation) {
    KmsException failure = assertThrows(KmsException.class, operation::run);
    if (failure instanceof MalformedEnvelopeException malformed) {
      return "malformed " + malformed.field();
    }
    if (failure instanceof KeyUnavailableException unavailable) {
      return unavailable.reason().name();
    }
    return failure instanceof DecryptionFailedException ? "decryption failed" : failure.toString();
  }
}
