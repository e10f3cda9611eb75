package dev.sealwax.kms.vocabulary;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.OptionalInt;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

final class GuardPolicyTest {
  private static final GuardPolicy DEFAULTS = GuardPolicy.defaults();
  private static final Duration SHORTEST = Duration.ofMillis(1);
  private static final Duration LONGEST = Duration.ofDays(1);
  private static final Duration TOO_SHORT = Duration.ofNanos(999_999);
  private static final Duration TOO_LONG = Duration.ofDays(1).plusNanos(1);
  private static final String TIME = " must be 1 ms to 1 day, got ";

  @Test
  void defaults_areThoseThatTheDocumentationNames() {
    assertEquals(Duration.ofSeconds(5), DEFAULTS.deadline());
    assertEquals(3, DEFAULTS.attempts());
    assertEquals(Duration.ofSeconds(2), DEFAULTS.attemptTimeout());
    assertEquals(Duration.ofMillis(50), DEFAULTS.firstPause());
    assertEquals(Duration.ofSeconds(1), DEFAULTS.longestPause());
    assertEquals(10, DEFAULTS.circuitAttempts());
    assertEquals(Duration.ofMillis(500), DEFAULTS.openTime());
    assertEquals(OptionalInt.empty(), DEFAULTS.attemptsPerSecond());
    assertEquals(16, DEFAULTS.concurrentAttempts());
    assertEquals(1024, DEFAULTS.waitingCallers());
  }

  @Test
  void limits_atTheirLowerBounds_areTaken() {
    GuardPolicy least =
        DEFAULTS
            .withDeadline(SHORTEST)
            .withAttempts(1, SHORTEST)
            .withPauses(SHORTEST, SHORTEST)
            .withCircuit(1, SHORTEST)
            .withRate(1)
            .withConcurrency(1, 0);
    assertEquals(SHORTEST, least.deadline());
    assertEquals(1, least.attempts());
    assertEquals(SHORTEST, least.attemptTimeout());
    assertEquals(SHORTEST, least.firstPause());
    assertEquals(SHORTEST, least.longestPause());
    assertEquals(1, least.circuitAttempts());
    assertEquals(SHORTEST, least.openTime());
    assertEquals(OptionalInt.of(1), least.attemptsPerSecond());
    assertEquals(1, least.concurrentAttempts());
    assertEquals(0, least.waitingCallers());
  }

  @Test
  void limits_atTheirUpperBounds_areTaken() {
    GuardPolicy most =
        DEFAULTS
            .withDeadline(LONGEST)
            .withAttempts(100, LONGEST)
            .withPauses(LONGEST, LONGEST)
            .withCircuit(1000, LONGEST)
            .withRate(1_000_000)
            .withConcurrency(1000, 1_000_000);
    assertEquals(LONGEST, most.deadline());
    assertEquals(100, most.attempts());
    assertEquals(LONGEST, most.attemptTimeout());
    assertEquals(LONGEST, most.firstPause());
    assertEquals(LONGEST, most.longestPause());
    assertEquals(1000, most.circuitAttempts());
    assertEquals(LONGEST, most.openTime());
    assertEquals(OptionalInt.of(1_000_000), most.attemptsPerSecond());
    assertEquals(1000, most.concurrentAttempts());
    assertEquals(1_000_000, most.waitingCallers());
  }

  private static Arguments wrong(UnaryOperator<GuardPolicy> change, String message) {
    return Arguments.of(change, message);
  }

  static Stream<Arguments> outOfRange() {
    Duration ok = Duration.ofSeconds(1);
    return Stream.of(
        wrong(p -> p.withDeadline(TOO_SHORT), "deadline" + TIME + TOO_SHORT),
        wrong(p -> p.withDeadline(TOO_LONG), "deadline" + TIME + TOO_LONG),
        wrong(p -> p.withDeadline(ok.negated()), "deadline" + TIME + ok.negated()),
        wrong(p -> p.withAttempts(0, ok), "attempts must be 1 to 100, got 0"),
        wrong(p -> p.withAttempts(101, ok), "attempts must be 1 to 100, got 101"),
        wrong(p -> p.withAttempts(1, TOO_SHORT), "timeout of an attempt" + TIME + TOO_SHORT),
        wrong(p -> p.withAttempts(1, TOO_LONG), "timeout of an attempt" + TIME + TOO_LONG),
        wrong(p -> p.withPauses(TOO_SHORT, ok), "first pause" + TIME + TOO_SHORT),
        wrong(p -> p.withPauses(TOO_LONG, ok), "first pause" + TIME + TOO_LONG),
        wrong(p -> p.withPauses(ok, TOO_SHORT), "longest pause" + TIME + TOO_SHORT),
        wrong(p -> p.withPauses(ok, TOO_LONG), "longest pause" + TIME + TOO_LONG),
        wrong(
            p -> p.withPauses(ok.plusNanos(1), ok),
            "first pause must be at most the longest, got PT1.000000001S and PT1S"),
        wrong(
            p -> p.withCircuit(0, ok),
            "attempts that the circuit looks at must be 1 to 1000, got 0"),
        wrong(
            p -> p.withCircuit(1001, ok),
            "attempts that the circuit looks at must be 1 to 1000, got 1001"),
        wrong(p -> p.withCircuit(1, TOO_SHORT), "open time" + TIME + TOO_SHORT),
        wrong(p -> p.withCircuit(1, TOO_LONG), "open time" + TIME + TOO_LONG),
        wrong(p -> p.withRate(0), "attempts per second must be 1 to 1000000, got 0"),
        wrong(p -> p.withRate(1_000_001), "attempts per second must be 1 to 1000000, got 1000001"),
        wrong(p -> p.withConcurrency(0, 0), "concurrent calls must be 1 to 1000, got 0"),
        wrong(p -> p.withConcurrency(1001, 0), "concurrent calls must be 1 to 1000, got 1001"),
        wrong(p -> p.withConcurrency(1, -1), "waiting callers must be 0 to 1000000, got -1"),
        wrong(
            p -> p.withConcurrency(1, 1_000_001),
            "waiting callers must be 0 to 1000000, got 1000001"));
  }

  @ParameterizedTest
  @MethodSource("outOfRange")
  void limits_outOfRange_areRefusedByName(UnaryOperator<GuardPolicy> change, String message) {
    IllegalArgumentException refusal =
        assertThrows(IllegalArgumentException.class, () -> change.apply(DEFAULTS));
    assertEquals(message, refusal.getMessage());
  }

  /** Each changes one limit. */
  static List<UnaryOperator<GuardPolicy>> changes() {
    Duration second = Duration.ofSeconds(1);
    return List.of(
        p -> p.withDeadline(second),
        p -> p.withAttempts(4, p.attemptTimeout()),
        p -> p.withAttempts(p.attempts(), second),
        p -> p.withPauses(SHORTEST, p.longestPause()),
        p -> p.withPauses(p.firstPause(), LONGEST),
        p -> p.withCircuit(11, p.openTime()),
        p -> p.withCircuit(p.circuitAttempts(), second),
        p -> p.withRate(7),
        p -> p.withConcurrency(17, p.waitingCallers()),
        p -> p.withConcurrency(p.concurrentAttempts(), 1025));
  }

  @ParameterizedTest
  @MethodSource("changes")
  void withX_leavesTheOriginalAsItWas(UnaryOperator<GuardPolicy> change) {
    GuardPolicy original = DEFAULTS.withRate(50).withDeadline(Duration.ofSeconds(9));
    String before = original.toString();
    assertNotEquals(original, change.apply(original));
    assertEquals(before, original.toString());
    assertEquals(Duration.ofSeconds(9), original.deadline());
  }

  /** In whatever order they are made. */
  @Test
  void withX_keepsTheOtherLimits() {
    GuardPolicy forth = DEFAULTS;
    GuardPolicy back = DEFAULTS;
    List<UnaryOperator<GuardPolicy>> changes = changes();
    for (int i = 0; i < changes.size(); i++) {
      forth = changes.get(i).apply(forth);
      back = changes.get(changes.size() - 1 - i).apply(back);
    }
    assertEquals(forth, back);
    assertEquals(forth.toString(), back.toString());
  }

  @Test
  void equals_everyLimitMatters() {
    Set<GuardPolicy> distinct = new HashSet<>(List.of(DEFAULTS));
    Set<String> texts = new HashSet<>(List.of(DEFAULTS.toString()));
    for (UnaryOperator<GuardPolicy> change : changes()) {
      GuardPolicy changed = change.apply(DEFAULTS);
      assertEquals(change.apply(DEFAULTS), changed);
      assertEquals(change.apply(DEFAULTS).hashCode(), changed.hashCode());
      distinct.add(changed);
      texts.add(changed.toString());
    }
    assertEquals(changes().size() + 1, distinct.size());
    assertEquals(changes().size() + 1, texts.size());
    assertNotEquals(DEFAULTS, new Object());
  }

  @Test
  void toString_namesEveryLimit() {
    assertEquals(
        "GuardPolicy[deadline PT5S, 3 attempts of PT2S, pauses PT0.05S to PT1S, circuit of 10"
            + " attempts open for PT0.5S, any calls a second, 16 at once, 1024 waiting]",
        DEFAULTS.toString());
  }
}
