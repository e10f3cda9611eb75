package dev.sealwax.kms.examples;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.envelope.EnvelopeInfo;
import dev.sealwax.kms.keyset.ScheduledChange.Outcome;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.store.JdbcKeysetStore;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.time.ZoneOffset;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicInteger;
import org.postgresql.ds.PGSimpleDataSource;

/** One of the processes of {@link RotateAFleet}. */
final class FleetMember {
  static final String KEYSET = "orders";

  private static final int BATCH = 20;
  private static final int PAUSE_MILLIS = 10;

  private final int number;
  private final EnvelopeCipher cipher;
  private final Connection messages;
  private final AtomicInteger rotations = new AtomicInteger();
  // By sender: the last message that was received, and whether it said that there are no more.
  private final long[] received;
  private final boolean[] ended;
  private long sent;
  private long decrypted;
  private long errors;
  private int primary;

  private FleetMember(int number, int processes, EnvelopeCipher cipher, Connection messages) {
    this.number = number;
    this.cipher = cipher;
    this.messages = messages;
    this.received = new long[processes + 1];
    this.ended = new boolean[processes + 1];
    ended[0] = true; // processes count from 1
    ended[number] = true;
  }

  /** {@code DIRECTORY URL SCHEMA NUMBER PROCESSES START}; works until its standard input ends. */
  public static void main(String[] args) throws Exception {
    PGSimpleDataSource database = database(args[1], args[2]);
    FleetMember member;
    try (Kms kms = open(Path.of(args[0]), database, Instant.parse(args[5]));
        Connection messages = database.getConnection()) {
      member =
          new FleetMember(
              Integer.parseInt(args[3]),
              Integer.parseInt(args[4]),
              kms.envelopeCipher(KEYSET),
              messages);
      kms.startScheduler(
          Duration.ofSeconds(1),
          change -> {
            if (change.outcome() == Outcome.PROMOTED) {
              member.rotations.incrementAndGet();
            }
          });
      member.work();
    } catch (Exception e) {
      System.out.println(FleetTable.COMPLAINT + e);
      throw e;
    }
    member.tell();
  }

  private void work() throws SQLException, IOException, InterruptedException {
    messages.setAutoCommit(false);
    Thread end = new Thread(FleetMember::awaitEnd, "end");
    end.setDaemon(true);
    end.start();
    try {
      while (end.isAlive()) {
        send();
        receive();
        tell();
        Thread.sleep(PAUSE_MILLIS);
      }
    } finally {
      sendLast(); // or the others would wait for it for ever
    }
    while (!allEnded()) {
      receive();
      tell();
      Thread.sleep(PAUSE_MILLIS);
    }
  }

  private static void awaitEnd() {
    try {
      while (System.in.read() >= 0) {
        // Nothing is said; it ends when the fleet shall, or when who started it is gone.
      }
    } catch (IOException e) {
      // The same.
    }
  }

  private void send() throws SQLException {
    try (PreparedStatement insert =
        messages.prepareStatement("insert into messages values (?, ?, ?)")) {
      for (int i = 0; i < BATCH; i++) {
        byte[] envelope = cipher.encrypt(text(number, ++sent), context(number, sent));
        primary = EnvelopeInfo.inspect(envelope).keyVersion();
        insert.setInt(1, number);
        insert.setLong(2, sent);
        insert.setBytes(3, envelope);
        insert.addBatch();
      }
      insert.executeBatch();
    }
    messages.commit();
  }

  /** Tells the others that no more will come: a message without an envelope. */
  private void sendLast() throws SQLException {
    try (PreparedStatement insert =
        messages.prepareStatement("insert into messages values (?, ?, null)")) {
      insert.setInt(1, number);
      insert.setLong(2, sent + 1);
      insert.executeUpdate();
    }
    messages.commit();
  }

  private void receive() throws SQLException {
    try (PreparedStatement select =
        messages.prepareStatement(
            "select number, envelope from messages where sender = ? and number > ?"
                + " order by number limit 1000")) {
      for (int sender = 1; sender < received.length; sender++) {
        if (sender != number) {
          select.setInt(1, sender);
          select.setLong(2, received[sender]);
          try (ResultSet rows = select.executeQuery()) {
            while (rows.next()) {
              received[sender] = rows.getLong(1);
              byte[] envelope = rows.getBytes(2);
              if (envelope == null) {
                ended[sender] = true;
              } else {
                decrypt(sender, received[sender], envelope);
              }
            }
          }
        }
      }
    }
    messages.commit();
  }

  private void decrypt(int sender, long message, byte[] envelope) {
    try {
      byte[] opened = cipher.decrypt(envelope, context(sender, message));
      if (!Arrays.equals(opened, text(sender, message))) {
        throw new IllegalStateException("message " + message + " has become another");
      }
      decrypted++;
    } catch (RuntimeException e) {
      errors++;
      System.out.println(FleetTable.COMPLAINT + e);
    }
  }

  private boolean allEnded() {
    boolean all = true;
    for (boolean one : ended) {
      all &= one;
    }
    return all;
  }

  private void tell() {
    System.out.println(new FleetRow(primary, sent, decrypted, rotations.get(), errors));
  }

  private static byte[] text(int sender, long message) {
    return ("message " + message + " of " + sender).getBytes(StandardCharsets.UTF_8);
  }

  private static EncryptionContext context(int sender, long message) {
    return EncryptionContext.of(
        "sender", Integer.toString(sender), "message", Long.toString(message));
  }

  // --- the same in all processes ---

  static Kms open(Path directory, PGSimpleDataSource database, Instant start) {
    return Kms.builder()
        .rootKey(LocalRootKey.open(directory.resolve("root.key"), sealingKey()))
        .store(JdbcKeysetStore.builder(database).listenOn(database).open())
        .clock(clock(start))
        .build();
  }

  /**
   * No policy rotates more often than daily, which is too long to watch: a day takes two seconds.
   * In earnest nobody sets a clock.
   */
  private static Clock clock(Instant start) {
    InstantSource fast =
        () -> start.plus(Duration.between(start, Instant.now()).multipliedBy(86_400 / 2));
    return fast.withZone(ZoneOffset.UTC);
  }

  /** In earnest it is a pool. */
  static PGSimpleDataSource database(String url, String schema) {
    PGSimpleDataSource database = new PGSimpleDataSource();
    database.setUrl(url);
    database.setCurrentSchema(schema);
    return database;
  }

  /** In earnest these bytes come from a secret manager. */
  static KeyMaterial sealingKey() {
    return KeyMaterial.copyOf(new byte[32]);
  }
}
