package dev.sealwax.kms.examples.hsm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** As a user runs them: without arguments, so on a SoftHSM of their own. */
final class HsmExamplesTest {
  @TempDir private Path directory;

  private String run(Class<?> example, String... options) throws Exception {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    PrintStream out = new PrintStream(bytes, true, StandardCharsets.UTF_8);
    HsmExample.Work unused =
        (key, place, more, stream) -> {
          throw new IOException("runs in another JVM");
        };
    int exitCode = HsmExample.run(example, List.of(options), unused, directory, out);
    String printed = bytes.toString(StandardCharsets.UTF_8);
    assertEquals(0, exitCode, printed);
    return printed;
  }

  @Test
  void hsmQuickStart_callsTheTokenOnce() throws Exception {
    String printed = run(HsmQuickStart.class);

    assertTrue(printed.contains("libsofthsm2.so, which is SOFTWARE\n"), printed);
    assertTrue(printed.contains("wrapping  AES_GCM, key is NEVER_OUTSIDE\n"), printed);
    assertTrue(printed.contains("opened    4 lamps, blue\n"), printed);
    assertTrue(printed.contains("calls     1 to the HSM for 20,002 messages\n"), printed);
  }

  @Test
  void moveToHsm_opensEveryOldEnvelope() throws Exception {
    String printed = run(MoveToHsm.class);

    assertTrue(printed.contains("moved           invoices   2 of 2 versions\n"), printed);
    assertTrue(printed.endsWith("new root key    6 of 6 old envelopes open\n"), printed);
  }

  @Test
  void costReport_countsCallsAndWritesThePage() throws Exception {
    Path page = directory.resolve("cost.html");

    String printed =
        run(
            CostReport.class,
            "--seconds",
            "1",
            "--price",
            "0.03",
            "--hsm-price",
            "1.5",
            "--hsm-rate",
            "400",
            "--report",
            page.toString());

    // Every message without a cache is a call; one more authenticates the keyset.
    double each = measuredCalls(printed, "HSM root, nothing cached");
    assertTrue(each > 1_000_000 && each < 1_100_000, printed);
    assertTrue(measuredCalls(printed, "HSM root, data keys cached") < 100_000, printed);
    assertTrue(measuredCalls(printed, "HSM root, a data key per message") < 100_000, printed);
    // 1,000 a second, 730 hours, 400 a second for each HSM: 788.4 for calls and 3 HSMs of 1,095.
    assertTrue(
        printed.matches(
            "(?s).*\nHSM root, nothing cached +1,000,000\\.0 +2,628,000,000 +3 +11,169\\.00\n.*"),
        printed);
    assertTrue(printed.contains("say nothing about a device"), printed);
    String html = Files.readString(page);
    assertTrue(html.contains("libsofthsm2.so is software.</b>"), html);
    assertTrue(html.contains("<td>11,169.00</td>"), html);
    assertEquals(6, Pattern.compile("<rect ").matcher(html).results().count());
    assertFalse(html.contains("http"), "the page loads nothing");
  }

  private static double measuredCalls(String printed, String row) {
    Matcher matcher = Pattern.compile("\n" + row + " [^\n]* ([0-9,.]+)\n").matcher(printed);
    assertTrue(matcher.find(), printed);
    return Double.parseDouble(matcher.group(1).replace(",", ""));
  }
}
