package dev.sealwax.kms.examples.benchmark;

import com.sun.management.OperatingSystemMXBean;
import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.envelope.SplitEnvelope;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.rewrap.CheckpointFile;
import dev.sealwax.kms.rewrap.EnvelopeRecord;
import dev.sealwax.kms.rewrap.EnvelopeSource;
import dev.sealwax.kms.rewrap.HeaderChange;
import dev.sealwax.kms.rewrap.JdbcEnvelopeSource;
import dev.sealwax.kms.rewrap.ReplaceOutcome;
import dev.sealwax.kms.rewrap.RewrapReport;
import dev.sealwax.kms.rewrap.Rewrapper;
import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import javax.crypto.Cipher;
import javax.crypto.spec.SecretKeySpec;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;

/**
 * How fast a bulk rewrap is: in PostgreSQL as a ratio to a plain {@code UPDATE} of the same rows in
 * the same run, and in memory in headers per second, beside the two AES key wraps that each of them
 * takes. The argument is the number of rows.
 */
public final class RewrapRate {
  private static final int ROUNDS = 5;
  private static final int PAYLOAD_BYTES = 200;
  private static final int BATCH = 5000;

  private final int rows;
  private final Kms kms;
  private final Path directory;

  private RewrapRate(int rows, Kms kms, Path directory) {
    this.rows = rows;
    this.kms = kms;
    this.directory = directory;
  }

  /** Runs from the command line. */
  public static void main(String[] arguments) throws Exception {
    int rows = arguments.length == 0 ? 200_000 : Integer.parseInt(arguments[0]);
    Path directory = Files.createTempDirectory("sealwax-rate");
    try (Kms kms = Sealwax.inMemory(directory);
        // Durable commits for both sides; the embedded server comes without.
        EmbeddedPostgres postgres =
            EmbeddedPostgres.builder().setServerConfig("synchronous_commit", "on").start()) {
      kms.keysets().create(Sealwax.KEYSET, KeysetTemplate.defaults());
      RewrapRate rate = new RewrapRate(rows, kms, directory);
      rate.inMemory();
      rate.inPostgres(postgres.getPostgresDatabase());
    }
  }

  // --- in memory ---

  private void inMemory() throws Exception {
    EnvelopeCipher cipher = kms.envelopeCipher(Sealwax.KEYSET);
    byte[] header = SplitEnvelope.of(cipher.encrypt(new byte[1], Column.CONTEXT)).header();
    kms.keysets().rotate(Sealwax.KEYSET);
    int headers = 5 * rows;
    for (int round = 0; round < ROUNDS; round++) {
      double wraps = perProcessorSecond(headers, RewrapRate::unwrapAndWrap);
      double calls =
          perProcessorSecond(headers, count -> repeat(count, () -> cipher.rewrapHeader(header)));
      double job =
          perProcessorSecond(
              headers,
              count ->
                  kms.rewrapper(Sealwax.KEYSET)
                      .source(new Endless(header, count))
                      .batchSize(BATCH)
                      .build()
                      .run());
      System.out.printf(
          "in memory, per second of a processor: AES unwrap and wrap %,.0f, rewrapHeader %,.0f,"
              + " Rewrapper with one worker %,.0f%n",
          wraps, calls, job);
    }
  }

  private interface Work {
    void run(int count) throws Exception;
  }

  private interface Step {
    Object run() throws Exception;
  }

  private static double perSecond(int count, Work work) throws Exception {
    long start = System.nanoTime();
    work.run(count);
    return count / ((System.nanoTime() - start) / 1e9);
  }

  /** By the time that processors have worked for this JVM, whatever else the machine is doing. */
  private static double perProcessorSecond(int count, Work work) throws Exception {
    OperatingSystemMXBean system =
        (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    long start = system.getProcessCpuTime();
    work.run(count);
    return count / ((system.getProcessCpuTime() - start) / 1e9);
  }

  private static void repeat(int count, Step step) throws Exception {
    int bytes = 0;
    for (int i = 0; i < count; i++) {
      bytes += step.run().hashCode();
    }
    if (bytes == 42) {
      System.out.println();
    }
  }

  /** What the JDK needs for the two key operations of a rewrap, with ready ciphers. */
  private static void unwrapAndWrap(int count) throws Exception {
    SecretKeySpec dataKey = new SecretKeySpec(new byte[32], "AES");
    Cipher wrap = Cipher.getInstance("AES/KWP/NoPadding");
    wrap.init(Cipher.WRAP_MODE, new SecretKeySpec(new byte[32], "AES"));
    Cipher unwrap = Cipher.getInstance("AES/KWP/NoPadding");
    unwrap.init(Cipher.UNWRAP_MODE, new SecretKeySpec(new byte[32], "AES"));
    byte[] wrapped = wrap.wrap(dataKey);
    repeat(count, () -> wrap.wrap(unwrap.unwrap(wrapped, "AES", Cipher.SECRET_KEY)));
  }

  /** The same record again and again. */
  private static final class Endless implements EnvelopeSource {
    private final byte[] header;
    private final int count;

    Endless(byte[] header, int count) {
      this.header = header;
      this.count = count;
    }

    @Override
    public String identity() {
      return "memory";
    }

    @Override
    public OptionalLong size() {
      return OptionalLong.of(count);
    }

    @Override
    public List<EnvelopeRecord> scan(@Nullable String after, int limit) {
      int done = after == null ? 0 : Integer.parseInt(after);
      int now = Math.min(limit, count - done);
      return now == 0
          ? List.of()
          : Collections.nCopies(now, EnvelopeRecord.of(Integer.toString(done + now), header));
    }

    @Override
    public Optional<EnvelopeRecord> read(String id) {
      return Optional.empty();
    }

    @Override
    public List<ReplaceOutcome> replaceHeaders(List<HeaderChange> changes) {
      return Collections.nCopies(changes.size(), ReplaceOutcome.REPLACED);
    }

    @Override
    public void close() {}
  }

  // --- in PostgreSQL ---

  private void inPostgres(DataSource database) throws Exception {
    execute(database, "create table orders (id bigint primary key, card bytea)");
    fill(database);
    execute(database, "vacuum analyze orders");
    int headerBytes = 82 + Sealwax.KEYSET.length();
    try (EnvelopeSource source = JdbcEnvelopeSource.of(database, "orders", "card")) {
      for (int round = 0; round < ROUNDS; round++) {
        double plain =
            perSecond(
                rows,
                count ->
                    execute(
                        database,
                        "update orders set card = substring(card from 1 for "
                            + headerBytes
                            + ") || substring(card from "
                            + (headerBytes + 1)
                            + ")"));
        execute(database, "vacuum orders");
        double oneByOne = perSecond(rows, count -> updateByKey(database));
        execute(database, "vacuum orders");
        for (int workers = 1; workers <= 4; workers *= 2) {
          kms.keysets().rotate(Sealwax.KEYSET);
          Rewrapper rewrapper =
              kms.rewrapper(Sealwax.KEYSET)
                  .source(source)
                  .checkpoint(CheckpointFile.at(directory.resolve("checkpoint" + round + workers)))
                  .batchSize(BATCH)
                  .workers(workers)
                  .build();
          double rewrap = perSecond(rows, count -> requireMoved(rewrapper.run()));
          execute(database, "vacuum orders");
          System.out.printf(
              "PostgreSQL, rows per second: one UPDATE %,.0f, batches of UPDATE by key %,.0f,"
                  + " rewrap with %d workers %,.0f; ratio to the one UPDATE %.2f, to the batches"
                  + " %.2f%n",
              plain, oneByOne, workers, rewrap, rewrap / plain, rewrap / oneByOne);
        }
      }
    }
  }

  private void requireMoved(RewrapReport report) {
    if (report.counts().moved() != rows) {
      throw new IllegalStateException(report.describe());
    }
  }

  private void fill(DataSource database) throws SQLException {
    EnvelopeCipher cipher = kms.envelopeCipher(Sealwax.KEYSET);
    try (Connection connection = database.getConnection();
        PreparedStatement insert =
            connection.prepareStatement("insert into orders values (?, ?)")) {
      connection.setAutoCommit(false);
      for (int i = 0; i < rows; i++) {
        insert.setLong(1, i);
        insert.setBytes(2, cipher.encrypt(new byte[PAYLOAD_BYTES], Column.CONTEXT));
        insert.addBatch();
        if (i % BATCH == BATCH - 1) {
          insert.executeBatch();
        }
      }
      insert.executeBatch();
      connection.commit();
    }
  }

  /** What an application without a rewrapper would do, with the new values at hand. */
  private void updateByKey(DataSource database) throws SQLException {
    byte[] value = new byte[300];
    try (Connection connection = database.getConnection();
        PreparedStatement update =
            connection.prepareStatement(
                "update orders set card = card where id = ? and card <> ?")) {
      connection.setAutoCommit(false);
      for (int i = 0; i < rows; i++) {
        update.setLong(1, i);
        update.setBytes(2, value);
        update.addBatch();
        if (i % BATCH == BATCH - 1) {
          update.executeBatch();
          connection.commit();
        }
      }
      update.executeBatch();
      connection.commit();
    }
  }

  private static void execute(DataSource database, String sql) throws SQLException {
    try (Connection connection = database.getConnection();
        Statement statement = connection.createStatement()) {
      statement.execute(sql);
    }
  }
}
