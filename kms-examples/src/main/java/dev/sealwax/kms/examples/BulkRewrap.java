package dev.sealwax.kms.examples;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.rewrap.CheckpointFile;
import dev.sealwax.kms.rewrap.EnvelopeSource;
import dev.sealwax.kms.rewrap.Inventory;
import dev.sealwax.kms.rewrap.InventoryReport;
import dev.sealwax.kms.rewrap.JdbcEnvelopeSource;
import dev.sealwax.kms.rewrap.RewrapListener;
import dev.sealwax.kms.rewrap.RewrapProgress;
import dev.sealwax.kms.rewrap.RewrapReport;
import dev.sealwax.kms.rewrap.Rewrapper;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.store.FileKeysetStore;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;

/**
 * Moves a table of a million rows to a new key version, is killed ({@code kill -9}) half-way, goes
 * on where it stopped, and says whether the old version is still needed. The argument is the number
 * of rows.
 */
public final class BulkRewrap {
  private static final String KEYSET = "orders";
  private static final int BATCH = 1000;

  private final Path directory;

  private BulkRewrap(Path directory) {
    this.directory = directory;
  }

  public static void main(String[] args) throws Exception {
    if (args.length == 2) {
      new BulkRewrap(Path.of(args[0])).rewrapAndTell(Integer.parseInt(args[1]));
      return;
    }
    int rows = args.length == 0 ? 1_000_000 : Integer.parseInt(args[0]);
    run(Files.createTempDirectory("sealwax-bulk"), rows, System.out);
  }

  static void run(Path directory, int rows, PrintStream out) throws Exception {
    BulkRewrap example = new BulkRewrap(directory);
    example.fill(rows);
    out.printf("%-28s %s%n", "filled", example.inventory());

    example.startAndKillHalfway(rows);
    out.printf("%-28s %s%n", "killed half-way", example.inventory());

    try (Kms kms = example.open();
        EnvelopeSource source = example.source();
        Connection database = example.connect();
        PreparedStatement select =
            database.prepareStatement("select card from orders where id = ?")) {
      RewrapReport report = example.rewrapper(kms, source).build().run();
      out.printf("%-28s %s%n", "resumed and done", example.inventory());
      out.printf(
          "%-28s %,d of %,d records were done again%n",
          "of the batch under way", report.counts().alreadyThere(), report.counts().scanned());

      // Later, at least the settling time, which is three hours by default.
      RewrapReport second =
          example
              .rewrapper(kms, source)
              .check((table, record) -> opens(kms.envelopeCipher(KEYSET), select, record.id()))
              .build()
              .verify();
      out.printf(
          "%-28s %,d verified and decrypted, %d failed%n",
          "second scan", second.counts().alreadyThere(), second.counts().failed());
      out.printf(
          "%-28s %s%n",
          "version 1 may be destroyed",
          second.mayDestroy(KEYSET, 1).isSafe()
              ? "yes, as far as this table goes"
              : "not yet: " + second.mayDestroy(KEYSET, 1).obstacles());
    }
  }

  private Kms open() {
    char[] passphrase = "correct horse battery staple".toCharArray();
    Path file = directory.resolve("root.key");
    return Kms.builder()
        .rootKey(
            Files.exists(file)
                ? LocalRootKey.open(file, passphrase)
                : LocalRootKey.create(file, passphrase))
        .store(FileKeysetStore.at(directory.resolve("keysets")))
        .build();
  }

  private Connection connect() throws SQLException {
    // Without a write delay: what is committed is on the disk, also when the process is killed.
    return DriverManager.getConnection(
        "jdbc:h2:file:" + directory.resolve("shop").toAbsolutePath() + ";WRITE_DELAY=0");
  }

  private EnvelopeSource source() throws IOException {
    return JdbcEnvelopeSource.of(this::connect, "orders", "card");
  }

  private static EncryptionContext row(String id) {
    return EncryptionContext.of("table", "orders", "row", id);
  }

  private void fill(int rows) throws SQLException {
    try (Kms kms = open();
        Connection database = connect();
        Statement create = database.createStatement()) {
      kms.keysets().create(KEYSET, KeysetTemplate.defaults());
      EnvelopeCipher cipher = kms.envelopeCipher(KEYSET);
      create.execute("create table orders (id bigint primary key, card varbinary(400))");
      database.setAutoCommit(false);
      try (PreparedStatement insert =
          database.prepareStatement("insert into orders values (?, ?)")) {
        for (int i = 0; i < rows; i++) {
          String id = Integer.toString(i);
          insert.setInt(1, i);
          insert.setBytes(
              2, cipher.encrypt(("card of " + id).getBytes(StandardCharsets.UTF_8), row(id)));
          insert.addBatch();
          if (i % BATCH == BATCH - 1) {
            insert.executeBatch();
            database.commit();
          }
        }
        insert.executeBatch();
        database.commit();
      }
      kms.keysets().rotate(KEYSET);
    }
  }

  private Rewrapper.Builder rewrapper(Kms kms, EnvelopeSource source) {
    return kms.rewrapper(KEYSET)
        .source(source)
        .checkpoint(CheckpointFile.at(directory.resolve("rewrap.checkpoint")))
        .batchSize(BATCH)
        .workers(2);
  }

  /** For the second scan: not only the header, but the message in its context. */
  private static boolean opens(EnvelopeCipher cipher, PreparedStatement select, String id) {
    byte[] envelope;
    synchronized (select) {
      try {
        select.setLong(1, Long.parseLong(id));
        try (ResultSet row = select.executeQuery()) {
          row.next();
          envelope = row.getBytes(1);
        }
      } catch (SQLException e) {
        throw new IllegalStateException(e);
      }
    }
    return new String(cipher.decrypt(envelope, row(id)), StandardCharsets.UTF_8)
        .equals("card of " + id);
  }

  /** What headers claim; needs no key. */
  private String inventory() throws IOException {
    try (EnvelopeSource source = source()) {
      StringBuilder line = new StringBuilder();
      for (InventoryReport.Row row : Inventory.ofClaims().count(List.of(source)).rows()) {
        line.append(String.format("version %d: %,d  ", row.version(), row.claimed()));
      }
      return line.toString().strip();
    }
  }

  // --- the process that is killed ---

  /** Does the job and tells after each batch how far it is; stops for a killer half-way. */
  private void rewrapAndTell(int half) throws IOException {
    try (Kms kms = open();
        EnvelopeSource source = source()) {
      RewrapListener telling =
          new RewrapListener() {
            @Override
            public void onProgress(RewrapProgress progress) {
              if (progress.counts().scanned() >= half) {
                System.out.println("half-way");
              }
            }
          };
      rewrapper(kms, source).listener(telling).build().run();
    }
  }

  private void startAndKillHalfway(int rows) throws Exception {
    Process child =
        AnotherJvm.start(
            BulkRewrap.class, List.of(directory.toString(), Integer.toString(rows / 2)));
    try (BufferedReader out = child.inputReader()) {
      String line = out.readLine();
      child.destroyForcibly();
      if (line == null) {
        throw new IllegalStateException("the job ended before it was half-way");
      }
    }
    child.waitFor();
  }
}
