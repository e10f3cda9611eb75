package dev.sealwax.kms.guard;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNAVAILABLE;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.sealwax.kms.guard.CallCircuit.Pass;
import dev.sealwax.kms.vocabulary.GuardHealth.Circuit;
import dev.sealwax.kms.vocabulary.KmsException;
import dev.sealwax.kms.vocabulary.RootKeyException;
import dev.sealwax.kms.vocabulary.RootKeyException.Reason;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BiConsumer;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

final class CallCircuitTest {
  private static final Duration OPEN_TIME = Duration.ofMillis(500);

  private final AtomicLong nanos = new AtomicLong(Long.MAX_VALUE - 5);
  private final CallCircuit<Reason> circuit =
      new CallCircuit<>(1, OPEN_TIME, nanos::get, new OfRootKeys());
  private final Pass old = circuit.enter();

  /** Those of a root key that knows one. */
  private static final class OfRootKeys implements Outages<Reason> {
    @Override
    public KmsException unavailable(String problem, @Nullable Throwable cause) {
      return new RootKeyException(UNAVAILABLE, problem, cause);
    }

    @Override
    public KmsException busy(String problem) {
      return unavailable(problem, null);
    }

    @Override
    public Reason timeoutReason() {
      return UNAVAILABLE;
    }

    @Override
    public Reason outage(Throwable failure) {
      return UNAVAILABLE;
    }
  }

  @BeforeEach
  void open() {
    circuit.failed(circuit.enter(), 1, UNAVAILABLE);
    assertEquals(Circuit.OPEN, circuit.state());
    assertRefused();
    pass(OPEN_TIME.plusNanos(1));
  }

  private void pass(Duration time) {
    nanos.addAndGet(time.toNanos());
  }

  private void assertRefused() {
    assertThrows(RootKeyException.class, circuit::requireAdmitting);
    assertThrows(RootKeyException.class, circuit::enter);
  }

  static Stream<BiConsumer<CallCircuit<Reason>, Pass>> ends() {
    return Stream.of(
        (circuit, pass) -> circuit.answered(pass, 1),
        (circuit, pass) -> circuit.failed(pass, 1, UNAVAILABLE),
        CallCircuit::left);
  }

  @ParameterizedTest
  @MethodSource("ends")
  void attemptAdmittedBeforeItOpened_howeverItEnds_leavesTheProbeAlone(
      BiConsumer<CallCircuit<Reason>, Pass> end) {
    Pass probe = circuit.enter();
    end.accept(circuit, old);
    assertEquals(Circuit.HALF_OPEN, circuit.state());
    assertRefused();
    circuit.answered(probe, 1);
    assertEquals(Circuit.CLOSED, circuit.state());
  }

  @Test
  void probeThatIsLeft_makesWayAtOnce() {
    Pass probe = circuit.enter();
    assertRefused();
    circuit.left(probe);
    circuit.requireAdmitting();
    circuit.enter();
    assertRefused();
  }

  @Test
  void probeThatIsAbandoned_makesWayWhenItsTimeIsOver() {
    circuit.abandoned(circuit.enter());
    assertRefused();
    pass(OPEN_TIME);
    circuit.requireAdmitting();
    circuit.answered(circuit.enter(), 1);
    assertEquals(Circuit.CLOSED, circuit.state());
  }

  @Test
  void probeThatIsLeftWhileAnotherFindsOut_makesNoWay() {
    Pass probe = circuit.enter();
    pass(OPEN_TIME);
    Pass extra = circuit.enter();
    circuit.left(probe);
    assertRefused();
    circuit.left(extra);
    circuit.requireAdmitting();
    circuit.enter();
    assertRefused();
  }

  @Test
  void extraAttempts_beginOneEachOpenTime_andOnlyTheirSuccessCounts() {
    Pass probe = circuit.enter();
    for (int i = 0; i < 3; i++) {
      pass(OPEN_TIME.minusNanos(1));
      assertRefused();
      pass(Duration.ofNanos(1));
      circuit.requireAdmitting();
      Pass extra = circuit.enter();
      assertRefused();
      circuit.failed(extra, 1, UNAVAILABLE);
      assertEquals(Circuit.HALF_OPEN, circuit.state());
      assertRefused();
    }
    pass(OPEN_TIME);
    circuit.answered(circuit.enter(), 1);
    assertEquals(Circuit.CLOSED, circuit.state());
    circuit.failed(probe, 1, UNAVAILABLE);
    assertEquals(Circuit.CLOSED, circuit.state());
  }

  @Test
  void probeThatSucceedsAfterAnotherHasFailed_closesIt() {
    Pass probe = circuit.enter();
    pass(OPEN_TIME);
    circuit.left(circuit.enter());
    circuit.failed(probe, 1, UNAVAILABLE);
    assertEquals(Circuit.OPEN, circuit.state());
    pass(OPEN_TIME.plusNanos(1));
    Pass second = circuit.enter();
    pass(OPEN_TIME);
    Pass extra = circuit.enter();
    circuit.failed(second, 1, UNAVAILABLE);
    assertEquals(Circuit.OPEN, circuit.state());
    circuit.answered(extra, 1);
    assertEquals(Circuit.CLOSED, circuit.state());
  }
}
