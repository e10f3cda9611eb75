package dev.sealwax.kms.examples.remote;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.aws.AwsClients;
import dev.sealwax.kms.examples.AnotherJvm;
import dev.sealwax.kms.examples.Captured;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.kms.KmsClient;

final class RemoteExamplesTest {
  private final Captured captured = new Captured();

  private int run(String usage, RemoteExample.Work example, String... arguments) {
    return RemoteExample.run(usage, List.of(arguments), example, captured.out, captured.err);
  }

  // --- a region is lost ---

  @Test
  void regionFailoverDrill_losesARegionAndNoOperation() {
    int exitCode = run(RegionFailoverDrill.USAGE, RegionFailoverDrill::run, "--seconds", "1");

    assertEquals(0, exitCode, this::printed);
    assertContains("EMULATOR, NOT AWS");
    // Operations, failures, p50, p99, calls of each region.
    assertRow("root key in a file", "[\\d,]+ +0 .* 0 +0");
    assertRow("moved to the quorum", "4 +0 .*");
    assertRow("one hangs: keys in memory", "[\\d,]+ +0 .* 0 +0");
    assertRow("one hangs: a new process", "[\\d,]+ +0 .* [1-9]\\d*");
    assertRow("one hangs: keysets created", "5 +0 .*");
    assertContains("\n  recorded as missing: [eu-central-1]\n");
    assertRow("  eu-central-1", "circuit .*, lately UNAVAILABLE");
    assertRow("it returns: wraps repaired", "1 +0 .* [1-9]\\d* +[1-9]\\d*");
    // 13 envelopes are opened and as many made; the other region is not asked.
    assertRow("eu-central-1 alone", "26 +0 .* [1-9]\\d* +0");
    assertRow("eu-west-1 alone", "26 +0 .* 0 +[1-9]\\d*");
    assertContains("\nPASSED: ");
  }

  /** As with AWS, but that the SDK is told another endpoint. */
  @Test
  void regionFailoverDrill_withKeysOfThreeRegions_losesTheFirst() throws Exception {
    try (MotoServer emulator = MotoServer.start()) {
      List<String> arguments = new ArrayList<>(List.of("--seconds", "1"));
      for (String region : List.of("eu-west-3", "us-east-1", "eu-west-1")) {
        arguments.add(createKey(emulator, region));
      }
      ProcessBuilder jvm = AnotherJvm.command(RegionFailoverDrill.class, arguments);
      jvm.environment().put("AWS_ENDPOINT_URL_KMS", emulator.endpoint().toString());
      jvm.environment().put("AWS_ACCESS_KEY_ID", "any");
      jvm.environment().put("AWS_SECRET_ACCESS_KEY", "any");
      Process process = jvm.redirectErrorStream(true).start();
      try (Stream<String> lines = process.inputReader(StandardCharsets.UTF_8).lines()) {
        lines.forEach(captured.out::println);
      }

      assertEquals(0, process.waitFor(), this::printed);
    }
    assertContains("quorum     eu-west-3, us-east-1, eu-west-1; 2 must wrap, any one unwraps");
    assertRow("one hangs: a new process", "[\\d,]+ +0 .*");
    assertContains("\n  recorded as missing: [eu-west-3]\n");
    assertRow("eu-west-3 alone", "26 +0 .* [1-9]\\d* +0 +0");
    assertRow("eu-west-1 alone", "26 +0 .* 0 +0 +[1-9]\\d*");
  }

  private static String createKey(MotoServer emulator, String region) {
    try (KmsClient client =
        AwsClients.kms()
            .region(Region.of(region))
            .endpointOverride(emulator.endpoint())
            .credentialsProvider(
                StaticCredentialsProvider.create(AwsBasicCredentials.create("any", "any")))
            .build()) {
      return client.createKey().keyMetadata().arn();
    }
  }

  @ParameterizedTest
  @CsvSource({
    "eu-central-1, not the ARN of a key of AWS KMS: eu-central-1",
    "--second, unknown option --second",
    "--seconds, --seconds needs a value",
    "--seconds 0, '--seconds must be a whole number from 1 to 3600, got 0'",
    "arn:aws:kms:eu-west-1:111122223333:key/1, 'keys must be two to eight, got 1'",
    "arn:aws:kms:eu-west-1:111122223333:key/1 arn:aws:kms:eu-west-1:111122223333:key/2,"
        + " each key must be in another region"
  })
  void regionFailoverDrill_wrongArguments_areNamed(String arguments, String expected) {
    int exitCode =
        run(RegionFailoverDrill.USAGE, RegionFailoverDrill::run, arguments.split(" ", -1));

    assertEquals(2, exitCode);
    assertTrue(captured.err().startsWith(expected), captured::err);
    assertTrue(captured.err().contains("usage: RegionFailoverDrill"), captured::err);
  }

  @Test
  void regionFailoverDrill_withoutMoto_saysWhatToInstall(@TempDir Path programs) throws Exception {
    Path shell = Files.writeString(programs.resolve("sh"), "#!/bin/sh\nexec /bin/sh \"$@\"\n");
    Files.setPosixFilePermissions(shell, PosixFilePermissions.fromString("rwx------"));
    ProcessBuilder jvm = AnotherJvm.command(RegionFailoverDrill.class, List.of());
    jvm.environment().put("PATH", programs.toString());

    Process process = jvm.redirectErrorStream(true).start();
    String printed = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);

    assertEquals(2, process.waitFor(), printed);
    assertTrue(printed.contains("moto_server is not here: install it with .ci/setup"), printed);
  }

  // --- the root key is away ---

  /** With longer minutes if this machine was too busy to be there in time. */
  @Test
  void outageGameDay_everythingIsAsPromised() {
    int exitCode = 1;
    for (int millis = 100; exitCode != 0 && millis <= 800; millis *= 2) {
      exitCode =
          run(OutageGameDay.USAGE, OutageGameDay::run, "--minute-millis", Integer.toString(millis));
      assertTrue(!captured.out().contains("FAILED"), this::printed);
    }

    assertEquals(0, exitCode, this::printed);
    assertColumns("", "down", "throttled", "slow", "denied", "disabled");
    assertColumns("at once: encrypt", "ok", "ok", "ok", "ok", "ok");
    assertColumns(
        "at once: decrypt, cold key",
        "UNAVAILABLE",
        "THROTTLED",
        "ok",
        "ACCESS_DENIED",
        "DISABLED");
    assertColumns("circuit then", "\\w+", "\\w+", "CLOSED", "CLOSED", "CLOSED");
    assertColumns("past the soft limit: encrypt", "ok", "ok", "ok", "ACCESS_DENIED", "DISABLED");
    String failure = "(UNAVAILABLE|THROTTLED)";
    assertColumns(
        "past the hard limit: decrypt", failure, failure, "ok", "ACCESS_DENIED", "DISABLED");
    assertColumns("the same, with windows: encrypt", "ok", "ok", "ok", "ACCESS_DENIED", "DISABLED");
    assertColumns(
        "past the window to encrypt: encrypt", failure, failure, "ok", "ACCESS_DENIED", "DISABLED");
    assertColumns(
        "past the window to encrypt: decrypt", "ok", "ok", "ok", "ACCESS_DENIED", "DISABLED");
    assertColumns(
        "past both windows: decrypt", failure, failure, "ok", "ACCESS_DENIED", "DISABLED");
    assertColumns("after its return: rotate", "ok", "ok", "ok", "ok", "ok");
    assertColumns("served past the hard limit", "[1-9]\\d*", "[1-9]\\d*", "0", "0", "0");
  }

  // --- calls ---

  @Test
  void kmsCalculator_countsCallsAndReckonsWithThem() {
    int exitCode =
        run(
            CallOptions.USAGE,
            KmsCalculator::run,
            "--keysets",
            "100",
            "--sample",
            "10000",
            "--data-key-messages",
            "10",
            "--price",
            "2",
            "--quota",
            "100");

    assertEquals(0, exitCode, this::printed);
    Matcher counted = find("10,000 messages in 100 keysets: (\\d+) calls, .*; ([\\d,]+) data keys");
    assertEquals("100", counted.group(1));
    // 5,000 messages are encrypted, at most 10 under a data key; none of these is a call.
    assertTrue(Integer.parseInt(counted.group(2).replace(",", "")) >= 500, this::printed);
    int first = Integer.parseInt(find("come in the first second: (\\d+) calls").group(1));
    assertTrue(first > 30 && first <= 100, this::printed);
    assertRow("  in the second of a common start", "(" + first * 10 + "\\.00|1,000) +1,000");
    assertRow("calls per million messages", ".* 1,000,000");
    // 1,000 a second, 730 hours, at 2 for 10,000.
    assertRow("price a month", ".* 525,600");
    assertContains("quota        100 calls a second would be EXCEEDED when 10 processes start");
    assertContains("withRate(9) in the GuardPolicy");
  }

  @Test
  void manyTenants_areServedRevokedShreddedAndRotated() {
    int exitCode =
        run(
            ManyTenants.USAGE,
            ManyTenants::run,
            "--tenants",
            "200",
            "--messages",
            "3000",
            "--pods",
            "2");

    assertEquals(0, exitCode, this::printed);
    for (int pod = 1; pod <= 2; pod++) {
      Matcher row = find("  " + pod + " +3,000 +(\\d+) +(\\d+) .*");
      assertEquals(row.group(1), row.group(2), "a call for each tenant that was met");
    }
    assertRow("memory", ".*; 200 root calls a pod");
    assertRow("revoked", "tenant-00001: DISABLED .* of the others 199 of 199 open");
    assertRow("shredded", "tenant-00002: .* DESTROYED .* of the others 198 of 198 open");
    assertRow("rotated", "198 of 198 tenants .* old records of 198 open");
    assertContains(": 398 calls a pod in all\n");
    assertContains("\nPASSED\n");
  }

  @ParameterizedTest
  @CsvSource({
    "--tenants 9, '--tenants must be a whole number from 10 to 100000, got 9'",
    "--skew flat, '--skew must be a number from 0 to 1e12, got flat'",
    "--pod 3, unknown option --pod"
  })
  void manyTenants_wrongArguments_areNamed(String arguments, String expected) {
    int exitCode = run(ManyTenants.USAGE, ManyTenants::run, arguments.split(" ", -1));

    assertEquals(2, exitCode);
    assertTrue(captured.err().startsWith(expected), captured::err);
  }

  @Test
  void help_isTheUsage() {
    int exitCode = run(OutageGameDay.USAGE, OutageGameDay::run, "--help");

    assertEquals(0, exitCode);
    assertEquals(OutageGameDay.USAGE + System.lineSeparator(), captured.out());
  }

  private String printed() {
    return captured.out() + captured.err();
  }

  private void assertContains(String expected) {
    assertTrue(captured.out().contains(expected), this::printed);
  }

  private void assertRow(String name, String rest) {
    find("\n" + Pattern.quote(name) + " +(" + rest + ")\n");
  }

  /** The last row of that name has these cells. */
  private void assertColumns(String name, String... cells) {
    assertRow(name, String.join(" +", cells));
  }

  private Matcher find(String pattern) {
    Matcher matcher = Pattern.compile(pattern).matcher(captured.out());
    assertTrue(matcher.find(), () -> pattern + " is not in\n" + printed());
    return matcher;
  }
}
