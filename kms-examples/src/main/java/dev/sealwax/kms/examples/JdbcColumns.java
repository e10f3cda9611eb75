package dev.sealwax.kms.examples;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.envelope.EnvelopeInfo;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.rewrap.EnvelopeSource;
import dev.sealwax.kms.rewrap.JdbcEnvelopeSource;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.store.FileKeysetStore;
import dev.sealwax.kms.vocabulary.DecryptionFailedException;
import dev.sealwax.kms.vocabulary.EncryptionContext;
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
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * Encrypts columns of a database table in place, in text form, each value bound to its table,
 * column and row; rotates, moves the values to the new key version, and reads one back. The
 * database is an embedded H2 in a file; nothing but the URL is special to it.
 */
public final class JdbcColumns {
  private static final String TABLE = "orders";
  private static final List<String> COLUMNS = List.of("customer", "email", "card_number");

  private final Connection database;
  private final EnvelopeCipher cipher;
  private final PrintStream out;

  private JdbcColumns(Connection database, EnvelopeCipher cipher, PrintStream out) {
    this.database = database;
    this.cipher = cipher;
    this.out = out;
  }

  public static void main(String[] args) throws IOException, SQLException {
    run(Files.createTempDirectory("sealwax-jdbc"), System.out);
  }

  static void run(Path directory, PrintStream out) throws IOException, SQLException {
    char[] passphrase = "correct horse battery staple".toCharArray();
    Path csv = SampleData.writeOrders(directory);
    // H2 would otherwise write some time after a commit, and a rewrap wants to know.
    String url = "jdbc:h2:file:" + directory.resolve("shop").toAbsolutePath() + ";WRITE_DELAY=0";
    try (Connection database = DriverManager.getConnection(url);
        Kms kms =
            Kms.builder()
                .rootKey(LocalRootKey.create(directory.resolve("root.key"), passphrase))
                .store(FileKeysetStore.at(directory.resolve("keysets")))
                .build()) {
      kms.keysets().create(TABLE, KeysetTemplate.defaults());
      JdbcColumns columns = new JdbcColumns(database, kms.envelopeCipher(TABLE), out);
      columns.load(csv);
      columns.encrypt();
      kms.keysets().rotate(TABLE);
      columns.rewrap(kms, url);
      columns.showRow("SO-10042");
    }
  }

  private void load(Path csv) throws IOException, SQLException {
    try (CsvRows rows = CsvRows.open(csv, ',');
        Statement create = database.createStatement()) {
      create.execute(
          "create table orders (order_id varchar primary key, customer varchar, email varchar,"
              + " card_number varchar, city varchar)");
      try (PreparedStatement insert =
          database.prepareStatement("insert into orders values (?, ?, ?, ?, ?)")) {
        List<String> names = List.of("order_id", "customer", "email", "card_number", "city");
        for (CsvRows.Row row = rows.next(); row != null; row = rows.next()) {
          for (int i = 0; i < names.size(); i++) {
            insert.setString(i + 1, row.fields().get(rows.header().indexOf(names.get(i))));
          }
          insert.addBatch();
        }
        insert.executeBatch();
      }
    }
  }

  /**
   * Encrypts all values of the columns in one transaction, so that no value is encrypted twice or
   * not at all. (For tables too large for that: a range of keys in each, and a second column for
   * what is sealed.)
   */
  private void encrypt() throws SQLException {
    database.setAutoCommit(false);
    for (String column : COLUMNS) {
      try (Statement select = database.createStatement();
          ResultSet rows = select.executeQuery("select order_id, " + column + " from orders");
          PreparedStatement update =
              database.prepareStatement(
                  "update orders set " + column + " = ? where order_id = ?")) {
        while (rows.next()) {
          String key = rows.getString(1);
          update.setString(1, encrypt(rows.getString(2), place(column, key)));
          update.setString(2, key);
          update.addBatch();
        }
        update.executeBatch();
      }
    }
    database.commit();
    out.printf("%-10s values by key version: %s%n", "encrypted", countByVersion());
  }

  /** A few values in each transaction; the application may go on writing meanwhile. */
  private void rewrap(Kms kms, String url) throws IOException, SQLException {
    for (String column : COLUMNS) {
      try (EnvelopeSource source =
          JdbcEnvelopeSource.of(() -> DriverManager.getConnection(url), TABLE, column)) {
        kms.rewrapper(TABLE).source(source).build().run();
      }
    }
    out.printf("%-10s values by key version: %s%n", "rewrapped", countByVersion());
  }

  private static EncryptionContext place(String column, String key) {
    return EncryptionContext.of("table", TABLE, "column", column, "row", key);
  }

  private String encrypt(String value, EncryptionContext place) {
    return cipher.encryptToText(value.getBytes(StandardCharsets.UTF_8), place);
  }

  /** Needs no key: which data still needs an old version can be asked of the data. */
  private SortedMap<Integer, Integer> countByVersion() throws SQLException {
    SortedMap<Integer, Integer> count = new TreeMap<>();
    for (String column : COLUMNS) {
      try (Statement select = database.createStatement();
          ResultSet rows = select.executeQuery("select " + column + " from orders")) {
        while (rows.next()) {
          count.merge(EnvelopeInfo.inspectText(rows.getString(1)).keyVersion(), 1, Integer::sum);
        }
      }
    }
    return count;
  }

  private void showRow(String key) throws SQLException {
    try (PreparedStatement select =
        database.prepareStatement("select customer, email, city from orders where order_id = ?")) {
      select.setString(1, key);
      try (ResultSet row = select.executeQuery()) {
        row.next();
        String customer = row.getString("customer");
        out.printf(
            "%-10s customer %s..., city %s%n",
            key, customer.substring(0, 24), row.getString("city"));
        out.printf("%-10s customer %s%n", "opened", open("customer", key, customer));
        try {
          open("email", key, customer);
          out.println("OPENED in another column");
        } catch (DecryptionFailedException e) {
          out.printf("%-10s in another column: %s%n", "refused", e.getMessage());
        }
      }
    }
  }

  private String open(String column, String key, String sealed) {
    return new String(cipher.decryptText(sealed, place(column, key)), StandardCharsets.UTF_8);
  }
}
