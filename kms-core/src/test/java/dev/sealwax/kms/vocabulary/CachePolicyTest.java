package dev.sealwax.kms.vocabulary;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CachePolicyTest {
  @ParameterizedTest
  @CsvSource({
    "PT0S, PT1S, 1, soft",
    "PT-1S, PT1S, 1, soft",
    "PT2S, PT1S, 1, hard",
    "PT1S, P366D, 1, hard",
    "PT1S, PT1S, 0, entries",
    "PT1S, PT1S, -1, entries"
  })
  void of_outsideTheLimits_isRefusedByName(String soft, String hard, int entries, String named) {
    IllegalArgumentException refusal =
        assertThrows(
            IllegalArgumentException.class,
            () -> CachePolicy.of(Duration.parse(soft), Duration.parse(hard), entries));
    assertTrue(refusal.getMessage().contains(named), refusal::getMessage);
  }

  @Test
  void of_atTheLimits_isTaken() {
    CachePolicy policy = CachePolicy.of(Duration.ofNanos(1), Duration.ofDays(365), 1);
    assertEquals(Duration.ofNanos(1), policy.softTtl());
    assertEquals(Duration.ofDays(365), policy.hardTtl());
    assertEquals(1, policy.maximumEntries());
    assertFalse(policy.isNone());
    CachePolicy.of(Duration.ofSeconds(1), Duration.ofSeconds(1), 1);
  }

  @Test
  void none_keepsNothing() {
    assertTrue(CachePolicy.none().isNone());
    assertSame(CachePolicy.none(), CachePolicy.none());
    assertEquals("CachePolicy[none]", CachePolicy.none().toString());
  }

  @Test
  void statistics_hitRate_isAShareOfAllLookups() {
    assertEquals(1, statistics(0, 0).hitRate());
    assertEquals(0.75, statistics(3, 1).hitRate());
    assertEquals(0, statistics(0, 5).hitRate());
  }

  @Test
  void withStaleOnOutage_keepsTheRestAndChecksItsRange() {
    CachePolicy plain = CachePolicy.of(Duration.ofMinutes(1), Duration.ofMinutes(2), 3);
    assertFalse(plain.hasStaleOnOutage());
    CachePolicy policy = plain.withStaleOnOutage(Duration.ZERO, Duration.ofDays(365));
    assertTrue(policy.hasStaleOnOutage());
    assertEquals(Duration.ZERO, policy.staleToEncrypt());
    assertEquals(Duration.ofDays(365), policy.staleToDecrypt());
    assertEquals(plain.hardTtl(), policy.hardTtl());
    assertEquals(3, policy.maximumEntries());
    assertTrue(policy.toString().contains("PT8760H to decrypt"), policy.toString());
    Duration tooLong = Duration.ofDays(365).plusNanos(1);
    for (Duration wrong : new Duration[] {Duration.ofNanos(-1), tooLong}) {
      assertThrows(
          IllegalArgumentException.class, () -> plain.withStaleOnOutage(wrong, Duration.ZERO));
      assertThrows(
          IllegalArgumentException.class, () -> plain.withStaleOnOutage(Duration.ZERO, wrong));
    }
    assertThrows(
        IllegalArgumentException.class,
        () -> CachePolicy.none().withStaleOnOutage(Duration.ZERO, Duration.ZERO));
  }

  private static CacheStatistics statistics(long hits, long misses) {
    return new CacheStatistics(hits, misses, 0, 0, 0, 0, 0, 0, 0, Duration.ZERO);
  }
}
