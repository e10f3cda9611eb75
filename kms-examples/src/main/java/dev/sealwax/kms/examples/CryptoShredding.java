package dev.sealwax.kms.examples;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.store.FileKeysetStore;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyStateException;
import dev.sealwax.kms.vocabulary.KeyUnavailableException;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Deletes all data of one tenant by destroying its keyset: backups and copies included, wherever
 * they are. A window of days lies before it, in which the destruction can be taken back.
 */
public final class CryptoShredding {
  private final Kms kms;
  private final Calendar calendar;
  private final PrintStream out;
  private final Map<String, byte[]> records = new LinkedHashMap<>();

  private CryptoShredding(Kms kms, Calendar calendar, PrintStream out) {
    this.kms = kms;
    this.calendar = calendar;
    this.out = out;
  }

  public static void main(String[] args) throws IOException {
    run(Files.createTempDirectory("sealwax-shredding"), System.out);
  }

  static void run(Path directory, PrintStream out) {
    Calendar calendar = new Calendar(Instant.parse("2026-11-24T09:00:00Z"));
    char[] passphrase = "correct horse battery staple".toCharArray();
    try (Kms kms =
        Kms.builder()
            .rootKey(LocalRootKey.create(directory.resolve("root.key"), passphrase))
            .store(FileKeysetStore.at(directory.resolve("keysets")))
            .clock(calendar)
            .build()) {
      new CryptoShredding(kms, calendar, out).run();
    }
  }

  private void run() {
    KeysetTemplate perTenant = KeysetTemplate.defaults().withDestructionWindow(Duration.ofDays(14));
    for (String tenant : new String[] {"tenant-42", "tenant-43"}) {
      kms.keysets().create(tenant, perTenant.withOwner("data protection office"));
      byte[] record = ("invoice of " + tenant).getBytes(StandardCharsets.UTF_8);
      records.put(tenant, kms.envelopeCipher(tenant).encrypt(record, context(tenant)));
    }
    show("one keyset for each tenant");

    kms.keysets().scheduleDestruction("tenant-42"); // refused from now on, primary included
    show("destruction of tenant-42 scheduled, due in 14 days");

    calendar.advance(Duration.ofDays(3));
    kms.keysets().cancelDestruction("tenant-42"); // second thoughts, within the 7 to 30 days
    kms.keysets().enable("tenant-42", 1);
    show("day 3: taken back for a legal hold, and enabled again");

    kms.keysets().scheduleDestruction("tenant-42");
    calendar.advance(Duration.ofDays(13));
    show("day 16: hold lifted and scheduled anew 13 days ago");
    destroy();

    calendar.advance(Duration.ofDays(1));
    destroy();
    show("day 17: destroyed");
  }

  private void destroy() {
    try {
      kms.keysets().destroy("tenant-42"); // once due: gone, except from backups of the store
    } catch (KeyStateException e) {
      out.printf("  %-10s %s%n", "refused", e.getMessage());
    }
  }

  private void show(String event) {
    out.println(event);
    records.forEach(
        (tenant, envelope) -> {
          String data;
          try {
            data =
                new String(
                    kms.envelopeCipher(tenant).decrypt(envelope, context(tenant)),
                    StandardCharsets.UTF_8);
          } catch (KeyUnavailableException e) {
            data = "unavailable: " + e.reason();
          }
          out.printf("  %-10s %s%n", tenant, data);
        });
  }

  private static EncryptionContext context(String tenant) {
    return EncryptionContext.of("tenant", tenant, "record", "1");
  }
}
