package dev.sealwax.kms.examples.benchmark;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/**
 * The programs behind docs/performance.md run; what they measure within seconds means nothing and
 * is not asserted.
 */
class PerformanceTableTest {
  private static final Pattern SECTION = Pattern.compile("(?m)^### ");
  private static final Pattern ONE_UNWRAP =
      Pattern.compile("\\| Sealwax, root key answering in 20 ms \\| 1 \\|");

  @Test
  void run_atTheSmallestScale_printsEveryTable() throws Exception {
    String table = run("smoke");

    assertEquals(10, SECTION.matcher(table).results().count(), table);
    assertTrue(table.contains("| Sealwax | "), table);
    assertTrue(ONE_UNWRAP.matcher(table).find(), table);
    assertTrue(table.contains("| in place of 1 MiB | "), table);
  }

  @Test
  void run_whenArgumentIsUnknown_throws() {
    assertThrows(IllegalArgumentException.class, () -> run("everything"));
  }

  @Test
  void median_ofEvenCount_isBetweenTheMiddleTwo() {
    assertEquals(2.5, Figures.median(4, 1, 3, 2));
  }

  @Test
  void figures_ofSeveralJvms_haveMedianAndRange() {
    Figures figures = new Figures();
    List.of("0.9", "1.1", "1.0").forEach(value -> figures.readLine("figure\tspeed\t" + value));
    figures.readLine("other output");

    assertEquals("1.00 (0.90–1.10)", figures.ofWithRange("speed"));
  }

  @Test
  void turns_speed_isMedianOfRatiosOfEachTurn() {
    Interleave.Turns turns =
        new Interleave.Turns(
            List.of(new double[] {2, 1}, new double[] {20, 10}, new double[] {3, 30}));

    assertEquals(2.0, turns.speed(1, 0));
  }

  private static String run(String argument) throws Exception {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    PerformanceTable.run(List.of(argument), new PrintStream(out, true, StandardCharsets.UTF_8));
    return out.toString(StandardCharsets.UTF_8);
  }
}
