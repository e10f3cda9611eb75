package dev.sealwax.kms.examples.remote;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class ZipfTest {
  @ParameterizedTest
  @CsvSource({"0, 0.100", "1, 0.341", "2, 0.645"}) // 1 / (1 + 1/2^s + ... + 1/10^s)
  void first_isChosenAsOftenAsItsShare(double skew, double share) {
    Zipf ten = new Zipf(10, skew);
    Random random = new Random(1);
    int first = 0;
    for (int i = 0; i < 100_000; i++) {
      first += ten.next(random) == 0 ? 1 : 0;
    }

    double chosen = first / 100_000.0;
    assertTrue(Math.abs(chosen - share) < 0.01, "chosen: " + chosen);
  }
}
