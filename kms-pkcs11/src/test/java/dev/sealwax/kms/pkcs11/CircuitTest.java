package dev.sealwax.kms.pkcs11;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNAVAILABLE;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

final class CircuitTest {
  private final AtomicLong nanos = new AtomicLong(Long.MAX_VALUE - 5);
  private final Circuit circuit =
      new Circuit(Duration.ofMillis(100), Duration.ofSeconds(5), nanos::get);

  private void pass(Duration time) {
    nanos.addAndGet(time.toNanos());
  }

  @Test
  void failures_doubleTheWaitUpToTheLongest() {
    for (long expected : new long[] {100, 200, 400, 800, 1600, 3200, 5000, 5000}) {
      circuit.failed("broken");
      long wait = circuit.untilNextAttempt().toMillis();
      assertTrue(wait <= expected && wait >= expected * 3 / 4 - 1, wait + " of " + expected);
      assertEquals(CircuitState.OPEN, circuit.state());
      FakeTokenTest.assertFails(UNAVAILABLE, () -> circuit.requireClosed("it"));
      pass(Duration.ofMillis(expected));
      assertEquals(CircuitState.HALF_OPEN, circuit.state());
      circuit.requireClosed("it");
      assertEquals(Duration.ZERO, circuit.untilNextAttempt());
    }
    for (int i = 0; i < 100; i++) {
      circuit.failed("broken");
    }
    assertTrue(circuit.untilNextAttempt().compareTo(Duration.ofSeconds(5)) <= 0);
  }

  @Test
  void success_closesIt() {
    circuit.failed("broken");
    circuit.failed("broken again");
    assertEquals(2, circuit.failures());
    circuit.succeeded();
    assertEquals(CircuitState.CLOSED, circuit.state());
    circuit.requireClosed("it");
    assertEquals("broken again", circuit.lastFailure().orElseThrow());
    circuit.failed("broken");
    assertTrue(circuit.untilNextAttempt().toMillis() <= 100);
  }
}
