package dev.sealwax.kms.examples.hsm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.examples.InputException;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class CostOptionsTest {
  private static final Measurement MEASURED = new Measurement(1, 2, 3, 5000, 1_000_000);

  @ParameterizedTest
  @CsvSource({
    "--seconds, 0, --seconds must be a whole number from 1 to 3600",
    "--threads, 1.5, --threads must be a whole number from 1 to 256",
    "--price, -1, '--price must be a number from 0 to 1e12, got -1'",
    "--price, NaN, '--price must be a number from 0 to 1e12, got NaN'",
    "--price, cheap, '--price must be a number from 0 to 1e12, got cheap'",
    "--prize, 1, unknown option --prize"
  })
  void wrongOption_isNamed(String option, String value, String expected) {
    InputException e =
        assertThrows(InputException.class, () -> CostOptions.parse(List.of(option, value)));

    assertTrue(String.valueOf(e.getMessage()).startsWith(expected), e.getMessage());
  }

  @Test
  void missingValue_isNamed() {
    InputException e =
        assertThrows(InputException.class, () -> CostOptions.parse(List.of("--price")));

    assertTrue(String.valueOf(e.getMessage()).startsWith("--price needs a value"), e.getMessage());
  }

  @Test
  void cachedRow_callsForEachProcessKeysetAndRenewal() {
    CostOptions options =
        CostOptions.parse(
            List.of("--processes", "20", "--keysets", "90", "--messages-per-second", "2000"));

    CostRow cached = new CostRow(true, Caching.DATA_KEYS, MEASURED, options.withCallsPerHsm(100));
    CostRow each = new CostRow(true, Caching.NOTHING, MEASURED, options.withCallsPerHsm(100));

    assertEquals(1.0, cached.callsPerSecond());
    assertEquals(1, cached.hsms());
    assertEquals(2000.0, each.callsPerSecond());
    assertEquals(20, each.hsms());
  }

  @Test
  void cachedRow_neverCallsMoreOftenThanThereAreMessages() {
    CostOptions options =
        CostOptions.parse(List.of("--keysets", "1000000", "--messages-per-second", "3"));

    CostRow row = new CostRow(true, Caching.DATA_KEYS, MEASURED, options.withCallsPerHsm(100));

    assertEquals(3.0, row.callsPerSecond());
  }

  @Test
  void softwareRow_costsNothing() {
    CostOptions options = CostOptions.parse(List.of("--price", "5", "--hsm-price", "5"));

    CostRow row = new CostRow(false, Caching.NOTHING, MEASURED, options.withCallsPerHsm(100));

    assertEquals(0.0, row.pricePerMonth());
    assertEquals(0, row.hsms());
  }
}
