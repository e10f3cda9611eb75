package dev.sealwax.kms.examples.remote;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.examples.InputException;
import java.util.List;
import org.junit.jupiter.api.Test;

final class KmsCalculatorTest {
  /** 40 calls in the first second, and half a call too few for a renewal: a busy machine. */
  private static final CallMeasurement MEASURED = new CallMeasurement(40, 90, 90, 90, 0.5, 1.005);

  private static KmsCalculator calculator(String... arguments) {
    return new KmsCalculator(CallOptions.parse(List.of(arguments)), MEASURED, System.out);
  }

  @Test
  void average_isARenewalOfEachKeysetInEachProcess() {
    KmsCalculator calculator = calculator("--processes", "20", "--keysets", "90");

    assertEquals(1.0, calculator.averageCalls());
    assertEquals(10.0, calculator.renewalPeak());
    assertEquals(800.0, calculator.coldStartCalls());
    assertEquals(1000.0, calculator.uncachedCalls());
  }

  @Test
  void average_isNeverMoreThanThereAreMessages() {
    KmsCalculator calculator =
        calculator("--processes", "1000", "--keysets", "1000", "--messages-per-second", "3");

    assertEquals(3.0, calculator.averageCalls());
    assertEquals(3.0, calculator.renewalPeak());
  }

  @Test
  void rate_isNineTenthsOfTheQuotaShared() {
    assertEquals(45, calculator("--quota", "500").rate());
  }

  @Test
  void rate_whenTheQuotaIsLessThanACallForEach_isNone() {
    assertNull(calculator("--quota", "9").rate());
  }

  @Test
  void hardBelowSoft_isNamed() {
    InputException e =
        assertThrows(
            InputException.class,
            () -> CallOptions.parse(List.of("--soft-minutes", "30", "--hard-minutes", "29")));

    assertTrue(String.valueOf(e.getMessage()).startsWith("--hard-minutes"), e.getMessage());
  }
}
