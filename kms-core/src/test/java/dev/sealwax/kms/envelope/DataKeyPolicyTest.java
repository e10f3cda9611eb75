package dev.sealwax.kms.envelope;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.sealwax.kms.vocabulary.CachePolicy;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class DataKeyPolicyTest {
  private static final CachePolicy SHORT =
      CachePolicy.of(Duration.ofSeconds(1), Duration.ofSeconds(2), 3);

  private final DataKeyPolicy policy = DataKeyPolicy.defaults();

  @Test
  void withers_changeOneThingEach() {
    DataKeyPolicy changed =
        policy
            .withEncryptCache(CachePolicy.none())
            .withDecryptCache(SHORT)
            .withMaxMessages(7)
            .withMaxBytes(8);

    assertEquals(CachePolicy.none(), changed.encryptCache());
    assertEquals(SHORT, changed.decryptCache());
    assertEquals(7, changed.maxMessages());
    assertEquals(8, changed.maxBytes());
    assertEquals(
        "DataKeyPolicy[encrypt "
            + CachePolicy.none()
            + ", decrypt "
            + SHORT
            + ", 7 messages, 8 bytes]",
        changed.toString());
  }

  @Test
  void limits_areAllowedThemselves() {
    assertEquals(1, policy.withMaxMessages(1).maxMessages());
    assertEquals(1L << 32, policy.withMaxMessages(1L << 32).maxMessages());
    assertEquals(1, policy.withMaxBytes(1).maxBytes());
    assertEquals(1L << 46, policy.withMaxBytes(1L << 46).maxBytes());
  }

  @ParameterizedTest
  @ValueSource(longs = {Long.MIN_VALUE, -1, 0, (1L << 46) + 1, Long.MAX_VALUE})
  void outsideTheLimits_isRefused(long wrong) {
    assertThrows(IllegalArgumentException.class, () -> policy.withMaxMessages(wrong));
    assertThrows(IllegalArgumentException.class, () -> policy.withMaxBytes(wrong));
  }

  /** Cites ENV-38. */
  @Test
  void moreMessagesThanNoncesAreSafeFor_areRefused() {
    assertThrows(IllegalArgumentException.class, () -> policy.withMaxMessages((1L << 32) + 1));
  }
}
