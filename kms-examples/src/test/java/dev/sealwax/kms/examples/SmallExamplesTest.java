package dev.sealwax.kms.examples;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class SmallExamplesTest {
  @TempDir Path directory;

  private final Captured captured = new Captured();

  @Test
  void quickStart_opensBeforeAndAfterRotation() {
    QuickStart.run(directory, captured.out);

    assertEquals(
        """
        opened  4 lamps, blue
        sealed  version 1, 129 bytes
        moved   version 2, 129 bytes, opens to 4 lamps, blue
        """,
        captured.out());
  }

  @Test
  void largeObject_readsARangeAndRefusesTheTruncatedCopy() throws Exception {
    LargeObject.run(directory, 8, captured.out);

    assertContains("encrypted   8 MiB");
    assertContains("live MiB of heap after each quarter: [");
    assertContains("16 bytes at 4,194,311");
    assertContains(": right");
    assertContains("truncated   refused: envelope is not authentic");
  }

  @Test
  void moveToNewRootKey_wrapsVersionsOnly() {
    MoveToNewRootKey.run(directory, captured.out);

    assertEquals(
        """
        old root key    6 envelopes in 3 keysets
        moved           orders     2 of 2 versions
        moved           customers  2 of 2 versions
        moved           invoices   2 of 2 versions
        root key calls  9 unwrap, 6 wrap; no envelope was touched
        new root key    6 of 6 old envelopes open
        """,
        captured.out());
  }

  @Test
  void cryptoShredding_takesOneTenantOnly() {
    CryptoShredding.run(directory, captured.out);

    assertEquals(
        """
        one keyset for each tenant
          tenant-42  invoice of tenant-42
          tenant-43  invoice of tenant-43
        destruction of tenant-42 scheduled, due in 14 days
          tenant-42  unavailable: DESTRUCTION_SCHEDULED
          tenant-43  invoice of tenant-43
        day 3: taken back for a legal hold, and enabled again
          tenant-42  invoice of tenant-42
          tenant-43  invoice of tenant-43
        day 16: hold lifted and scheduled anew 13 days ago
          tenant-42  unavailable: DESTRUCTION_SCHEDULED
          tenant-43  invoice of tenant-43
          refused    keyset tenant-42 version 1: its destruction is not due before 2026-12-11T09:00:00Z
        day 17: destroyed
          tenant-42  unavailable: DESTROYED
          tenant-43  invoice of tenant-43
        """,
        captured.out());
  }

  @Test
  void rotateAndRevoke_leavesTheNewEnvelopesOnly() throws Exception {
    RotateAndRevoke.run(directory, captured.out);

    assertEquals(
        """
        rotated
          moved to version 2: 4 lamps, blue
          the old envelope:   unavailable, DESTRUCTION_SCHEDULED
        revoked
          encrypted anew:     4 lamps, blue
          the old envelope:   unavailable, DESTRUCTION_SCHEDULED
        """,
        captured.out());
  }

  @Test
  void jdbcColumns_sealsMovesAndOpens() throws Exception {
    JdbcColumns.run(directory, captured.out);

    assertContains("encrypted  values by key version: {1=3000}");
    assertContains("rewrapped  values by key version: {2=3000}");
    assertContains("refused    in another column");
    assertTrue(Files.exists(directory.resolve("shop.mv.db")));
  }

  @Test
  void revocationDrill_stopsEveryProcessWithinASecond() throws Exception {
    RevocationDrill.run(directory, 5, captured.out);

    assertContains("times the version was disabled       5");
    assertContains("\nalways within a second");
  }

  @Test
  void bulkRewrap_isKilledAndGoesOn() throws Exception {
    BulkRewrap.run(directory, 20_000, captured.out);

    assertContains("filled                       version 1: 20,000\n");
    assertTrue(
        captured.out().matches("(?s).*killed half-way +version 1: [0-9,]+  version 2: [0-9,]+\n.*"),
        captured::out);
    assertContains("resumed and done             version 2: 20,000\n");
    assertContains("second scan                  20,000 verified and decrypted, 0 failed\n");
    assertContains("not yet: [WRITERS_MAY_REMAIN]");
  }

  @Test
  void rotateAFleet_rotatesAndOpensEveryMessage() throws Exception {
    boolean passed;
    try (EmbeddedPostgres server = EmbeddedPostgres.start()) {
      String url = server.getJdbcUrl("postgres", "postgres");
      passed = RotateAFleet.run(directory, url, Duration.ofSeconds(8), captured.terminal());
    }

    assertTrue(passed, captured::out);
    assertTrue(
        captured
            .out()
            .matches("(?s).*\nrotations +([1-9]\\d*), of which the processes won \\1\n.*"),
        captured::out);
    assertContains("decrypt errors  0\n");
  }

  private void assertContains(String expected) {
    assertTrue(captured.out().contains(expected), captured::out);
  }
}
