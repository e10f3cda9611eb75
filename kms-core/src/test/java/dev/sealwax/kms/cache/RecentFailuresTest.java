package dev.sealwax.kms.cache;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

final class RecentFailuresTest {
  private static final Duration PAUSE = Duration.ofMillis(100);

  private final AtomicLong now = new AtomicLong(Long.MAX_VALUE - 5);
  private final RecentFailures<String, IllegalArgumentException> failures =
      new RecentFailures<>(now::get, PAUSE);

  @Test
  void failure_answersForItsQuestionUntilThePauseIsOver() {
    assertDoesNotThrow(() -> failures.rethrow("a"));
    failures.remember("a", new IllegalArgumentException("scripted"));
    assertDoesNotThrow(() -> failures.rethrow("b"));
    now.addAndGet(PAUSE.toNanos() - 1);
    IllegalArgumentException thrown =
        assertThrows(IllegalArgumentException.class, () -> failures.rethrow("a"));
    assertEquals("scripted", thrown.getMessage());
    now.addAndGet(1);
    assertDoesNotThrow(() -> failures.rethrow("a"));
  }

  @Test
  void manyQuestions_fewAreKept() {
    for (int i = 0; i < 5000; i++) {
      failures.remember("question " + i, new IllegalArgumentException("scripted"));
    }
    int kept = 0;
    for (int i = 0; i < 5000; i++) {
      try {
        failures.rethrow("question " + i);
      } catch (IllegalArgumentException e) {
        kept++;
      }
    }
    assertEquals(1024, kept);
  }
}
