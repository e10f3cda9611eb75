package dev.sealwax.kms.keyset;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

final class RotationPolicyTest {
  private static final RotationPolicy MANUAL = RotationPolicy.manual();
  private static final Duration SECOND = Duration.ofSeconds(1);

  @Test
  void defaults_are90DaysAndAMinute() {
    RotationPolicy policy = RotationPolicy.defaults();
    assertEquals(Duration.ofDays(90), policy.age().orElseThrow());
    assertTrue(policy.messages().isEmpty());
    assertTrue(policy.bytes().isEmpty());
    assertEquals(Duration.ofMinutes(1), policy.propagationDelay());
    assertTrue(MANUAL.age().isEmpty());
  }

  /** Cites KS-22. */
  @Test
  void limits_outsideTheirBounds_throw() {
    for (Duration age :
        List.of(
            Duration.ofDays(1).minus(SECOND),
            Duration.ofDays(730).plus(SECOND),
            Duration.ofDays(2).plusNanos(1),
            Duration.ofDays(-2))) {
      assertThrows(IllegalArgumentException.class, () -> MANUAL.afterAge(age), age.toString());
    }
    for (Duration delay :
        List.of(
            Duration.ofSeconds(10).minus(SECOND),
            Duration.ofDays(7).plus(SECOND),
            Duration.ofSeconds(11).plusMillis(1))) {
      assertThrows(IllegalArgumentException.class, () -> MANUAL.withPropagationDelay(delay));
    }
    for (long count : new long[] {Long.MIN_VALUE, 0, (1L << 17) - 1, 1L << 53}) {
      assertThrows(IllegalArgumentException.class, () -> MANUAL.afterMessages(count));
    }
    for (long count : new long[] {Long.MIN_VALUE, 0, (1L << 27) - 1, 1L << 53}) {
      assertThrows(IllegalArgumentException.class, () -> MANUAL.afterBytes(count));
    }
    assertTrue(
        MANUAL
            .afterAge(RotationPolicy.MAX_AGE)
            .afterMessages(1L << 17)
            .afterBytes((1L << 53) - 1)
            .withPropagationDelay(RotationPolicy.MIN_PROPAGATION_DELAY)
            .age()
            .isPresent(),
        "the bounds themselves are allowed");
  }

  @Test
  void refusal_namesTheBoundsInWords() {
    assertEquals(
        "propagation delay must be whole seconds within 10 seconds and 7 days, got PT1S",
        assertThrows(IllegalArgumentException.class, () -> MANUAL.withPropagationDelay(SECOND))
            .getMessage());
  }

  @Test
  void isReachedBy_anyOfTheLimits() {
    RotationPolicy policy = MANUAL.afterMessages(1L << 20).afterBytes(1L << 30);
    assertFalse(policy.isReachedBy((1L << 20) - 1, (1L << 30) - 1));
    assertTrue(policy.isReachedBy(1L << 20, 0));
    assertTrue(policy.isReachedBy(0, 1L << 30));
    assertFalse(MANUAL.isReachedBy(Long.MAX_VALUE, Long.MAX_VALUE));
  }

  @Test
  void equals_everyPartMatters() {
    List<RotationPolicy> policies =
        List.of(
            MANUAL,
            MANUAL.afterAge(Duration.ofDays(2)),
            MANUAL.afterMessages(1L << 20),
            MANUAL.afterBytes(1L << 30),
            MANUAL.withPropagationDelay(Duration.ofHours(1)));
    Set<RotationPolicy> distinct = new HashSet<>(policies);
    assertEquals(policies.size(), distinct.size());
    assertEquals(MANUAL.afterMessages(1L << 20), policies.get(2));
    assertEquals(MANUAL.afterMessages(1L << 20).hashCode(), policies.get(2).hashCode());
    Set<String> texts = new HashSet<>();
    policies.forEach(policy -> texts.add(policy.toString()));
    assertEquals(policies.size(), texts.size());
    assertNotEquals(
        KeysetTemplate.defaults(), KeysetTemplate.defaults().withRotationPolicy(MANUAL));
  }
}
