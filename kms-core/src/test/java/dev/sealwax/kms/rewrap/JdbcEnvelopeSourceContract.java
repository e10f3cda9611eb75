package dev.sealwax.kms.rewrap;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.envelope.EnvelopeInfo;
import dev.sealwax.kms.rewrap.RewrapFailure.Reason;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.RewrapException;
import java.io.IOException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import javax.sql.DataSource;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What a column must do in any database; one subclass for each. */
abstract class JdbcEnvelopeSourceContract {
  final RewrapRig rig = RewrapRig.create();
  DataSource database;

  abstract DataSource open() throws SQLException;

  abstract String binaryType();

  @BeforeEach
  void openDatabase() throws SQLException {
    database = open();
  }

  @AfterEach
  void close() {
    rig.close();
  }

  final void execute(String sql, Object... values) throws SQLException {
    try (Connection connection = database.getConnection();
        PreparedStatement statement = connection.prepareStatement(sql)) {
      for (int i = 0; i < values.length; i++) {
        statement.setObject(i + 1, values[i]);
      }
      statement.execute();
    }
  }

  private Object value(String sql) throws SQLException {
    try (Connection connection = database.getConnection();
        Statement statement = connection.createStatement();
        ResultSet rows = statement.executeQuery(sql)) {
      assertTrue(rows.next(), sql);
      return rows.getObject(1);
    }
  }

  /** A table of envelopes under version 1, and a primary 2. */
  private void fill(int rows) throws SQLException {
    execute("create table orders (id bigint primary key, card " + binaryType() + ")");
    for (int i = 0; i < rows; i++) {
      execute("insert into orders values (?, ?)", i, rig.sealed(Integer.toString(i)));
    }
    rig.kms.keysets().rotate(RewrapRig.ORDERS);
  }

  final RewrapReport rewrap(EnvelopeSource source) {
    return rewrapper(source).run();
  }

  final Rewrapper rewrapper(EnvelopeSource source) {
    return rig.kms
        .rewrapper(RewrapRig.ORDERS)
        .source(source)
        .batchSize(7)
        .workers(2)
        .patience(Duration.ZERO)
        .build();
  }

  private void assertMoved(int rows) throws SQLException {
    try (Connection connection = database.getConnection();
        Statement statement = connection.createStatement();
        ResultSet found = statement.executeQuery("select id, card from orders")) {
      int count = 0;
      while (found.next()) {
        byte[] envelope = found.getBytes(2);
        assertEquals(2, EnvelopeInfo.inspect(envelope).keyVersion());
        assertTrue(rig.opens(found.getString(1), envelope));
        count++;
      }
      assertEquals(rows, count);
    }
  }

  @Test
  void binaryColumn_isMovedAndStillOpens() throws Exception {
    fill(40);
    try (EnvelopeSource source = JdbcEnvelopeSource.of(database, "orders", "card")) {
      assertEquals(new RewrapCounts(40, 40, 0, 0, 0, 0, 0, Map.of()), rewrap(source).counts());
      assertMoved(40);
      assertEquals(40, rewrap(source).counts().alreadyThere());
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2, 3, 4, 5, 6, 7, 100, 40_000})
  void textColumn_isMovedWhateverTheLengthOfNameAndMessage(int length) throws Exception {
    execute("create table orders (id varchar(20) primary key, card varchar(100000))");
    List<String> keysets = List.of("a", "ab", "abc", "abcd", "a".repeat(63), "b".repeat(64));
    EncryptionContext context = EncryptionContext.of("id", "x");
    for (String keyset : keysets) {
      rig.kms.keysets().create(keyset, dev.sealwax.kms.keyset.KeysetTemplate.defaults());
      String text = rig.kms.envelopeCipher(keyset).encryptToText(new byte[length], context);
      execute(
          "insert into orders values (?, ?)",
          keyset.substring(0, Math.min(20, keyset.length())),
          text);
      rig.kms.keysets().rotate(keyset);
    }
    try (EnvelopeSource source = JdbcEnvelopeSource.of(database, "orders", "card")) {
      RewrapReport report =
          rig.kms.rewrapper(keysets.toArray(String[]::new)).source(source).build().run();
      assertEquals(keysets.size(), report.counts().moved(), report::describe);
    }
    for (String keyset : keysets) {
      String text =
          (String)
              value(
                  "select card from orders where id = '"
                      + keyset.substring(0, Math.min(20, keyset.length()))
                      + "'");
      assertEquals(2, EnvelopeInfo.inspectText(text).keyVersion());
      assertEquals(length, rig.kms.envelopeCipher(keyset).decryptText(text, context).length);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2, 3, 4, 5, 90, 150})
  void fixedWidthTextColumn_isMovedWithItsPadding(int length) throws Exception {
    int width = 400;
    execute("create table orders (id integer primary key, card char(" + width + "))");
    EncryptionContext context = EncryptionContext.of("id", "x");
    for (int i = 0; i < 3; i++) {
      execute(
          "insert into orders values (?, ?)",
          i,
          rig.orders().encryptToText(new byte[length + i], context));
    }
    execute("insert into orders values (3, ?)", "swx1. AAAA");
    execute("insert into orders values (4, ?)", "");
    rig.kms.keysets().rotate(RewrapRig.ORDERS);
    try (EnvelopeSource source = JdbcEnvelopeSource.of(database, "orders", "card")) {
      RewrapReport report = rewrap(source);
      assertEquals(
          new RewrapCounts(5, 3, 0, 0, 0, 0, 0, Map.of(Reason.NOT_AN_ENVELOPE, 2L)),
          report.counts());
      assertEquals(3, rewrap(source).counts().alreadyThere());
    }
    for (int i = 0; i < 3; i++) {
      String padded = (String) value("select card from orders where id = " + i);
      assertEquals(width, padded.length());
      String text = padded.stripTrailing();
      assertEquals(2, EnvelopeInfo.inspectText(text).keyVersion());
      assertEquals(length + i, rig.orders().decryptText(text, context).length);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"bytes", "char(400)"})
  void fixedWidthKeys_areFoundAgainAlsoAfterAStop(String type) throws Exception {
    execute(
        "create table orders (shop char(6), line char(3), card "
            + type.replace("bytes", binaryType())
            + ", primary key (shop, line))");
    List<String> shops = List.of("a", "a b", "a,b", "a\\", "abcdef", "ab");
    for (String shop : shops) {
      for (String line : List.of("1", "22", "333")) {
        byte[] envelope = rig.sealed("x");
        execute(
            "insert into orders values (?, ?, ?)",
            shop,
            line,
            type.equals("bytes")
                ? envelope
                : rig.orders().encryptToText("x".getBytes(UTF_8), EncryptionContext.of("id", "x")));
      }
    }
    rig.kms.keysets().rotate(RewrapRig.ORDERS);
    MemoryCheckpoint checkpoint = new MemoryCheckpoint();
    checkpoint.failingFrom = 2;
    int all = shops.size() * 3;
    try (EnvelopeSource source = JdbcEnvelopeSource.of(database, "orders", "card")) {
      Rewrapper job =
          rig.kms
              .rewrapper(RewrapRig.ORDERS)
              .source(source)
              .checkpoint(checkpoint)
              .batchSize(4)
              .patience(Duration.ZERO)
              .build();
      assertThrows(RewrapException.class, job::run);
      checkpoint.failingFrom = Integer.MAX_VALUE;
      RewrapReport report = job.run();
      assertTrue(report.wasResumed());
      assertEquals(all, report.counts().scanned());
      assertEquals(all, report.counts().moved() + report.counts().alreadyThere());
      assertEquals(all, rewrap(source).counts().alreadyThere());
      assertScansOneByOne(source, all);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"bytes", "varchar(400)", "char(400)"})
  void compromisedRows_areEncryptedAnewUnlessTheApplicationWritesThem(String type)
      throws Exception {
    boolean text = !type.equals("bytes");
    execute(
        "create table orders (shop char(6), line integer, card "
            + type.replace("bytes", binaryType())
            + ", primary key (shop, line))");
    EncryptionContext context = EncryptionContext.of("shop", "a");
    for (int i = 0; i < 6; i++) {
      execute("insert into orders values ('a', ?, ?)", i, sealed(text, "old", context));
    }
    rig.kms.keysets().rotate(RewrapRig.ORDERS);
    rig.kms.keysets().compromise(RewrapRig.ORDERS, 1);
    try (JdbcEnvelopeSource source = JdbcEnvelopeSource.of(database, "orders", "card")) {
      List<EnvelopeRecord> page = source.scan(null, 6);
      for (int i = 0; i < 3; i++) {
        // In the middle of it the application writes, clears, or deletes the row.
        String statement =
            List.of(
                    "update orders set card = ? where line = 0",
                    "update orders set card = cast(null as "
                        + valueType(type)
                        + ")"
                        + " where line = 1",
                    "delete from orders where line = 2")
                .get(i);
        Object[] values = i == 0 ? new Object[] {sealed(text, "new", context)} : new Object[0];
        ReplaceOutcome outcome =
            source.replaceEnvelope(
                page.get(i),
                (in, out) -> {
                  rig.orders().reencrypt(in, out, context);
                  try {
                    execute(statement, values);
                  } catch (SQLException e) {
                    throw new IOException(e);
                  }
                });
        assertEquals(
            i == 2 ? ReplaceOutcome.GONE : ReplaceOutcome.CHANGED_MEANWHILE, outcome, statement);
      }
      assertEquals(
          EnvelopeRecord.Content.NONE, source.read(page.get(1).id()).orElseThrow().content());
      RewrapReport report =
          rig.kms
              .rewrapper(RewrapRig.ORDERS)
              .source(source)
              .workers(2)
              .patience(Duration.ZERO)
              .reencryptCompromised(
                  (from, record) ->
                      record.id().endsWith(",4") ? EncryptionContext.empty() : context)
              .build()
              .run();
      assertEquals(
          new RewrapCounts(5, 0, 2, 1, 1, 0, 0, Map.of(Reason.NOT_REENCRYPTED, 1L)),
          report.counts());
    }
    for (int line : new int[] {0, 3, 5}) {
      Object value = value("select card from orders where line = " + line);
      byte[] opened =
          text
              ? rig.orders().decryptText(((String) value).stripTrailing(), context)
              : rig.orders().decrypt((byte[]) value, context);
      assertEquals(line == 0 ? "new" : "old", new String(opened, UTF_8));
    }
  }

  private String valueType(String type) {
    return type.replace("bytes", binaryType());
  }

  private Object sealed(boolean text, String message, EncryptionContext context) {
    byte[] bytes = message.getBytes(UTF_8);
    return text ? rig.orders().encryptToText(bytes, context) : rig.orders().encrypt(bytes, context);
  }

  static List<Map.Entry<String, List<Object>>> keys() {
    return List.of(
        Map.entry("id smallint primary key", List.of((short) -3, (short) 0, (short) 7)),
        Map.entry("id integer primary key", List.of(-3, 0, 7)),
        Map.entry(
            "id numeric(30, 4) primary key",
            List.of(
                new java.math.BigDecimal("-1.5"),
                new java.math.BigDecimal("12345678901234567890.1234"))),
        Map.entry(
            "id varchar(50) primary key", List.of("", "a", "B", "c,d", "ü'\"\\%\n", "Z", "z z ")),
        Map.entry("id char(4) primary key", List.of("a", "ab", "abcd")),
        Map.entry(
            "id uuid primary key",
            List.of(
                new java.util.UUID(-1, 2), new java.util.UUID(1, 2), new java.util.UUID(5, -2))),
        Map.entry(
            "id date primary key",
            List.of(java.time.LocalDate.of(1999, 12, 31), java.time.LocalDate.of(2026, 1, 1))),
        Map.entry(
            "id timestamp(6) primary key",
            List.of(
                java.time.LocalDateTime.parse("2026-03-29T02:30:00.123456"),
                java.time.LocalDateTime.parse("2026-03-29T02:30:00.123457"))),
        Map.entry(
            "id timestamp(6) with time zone primary key",
            List.of(
                java.time.OffsetDateTime.parse("2026-03-29T02:30:00.123456+02:00"),
                java.time.OffsetDateTime.parse("2026-03-29T02:30:00.123457Z"))));
  }

  @ParameterizedTest
  @MethodSource("keys")
  void keysOfManyTypes_makeAnOrder(Map.Entry<String, List<Object>> key) throws Exception {
    execute("create table orders (" + key.getKey() + ", card " + binaryType() + ")");
    for (Object id : key.getValue()) {
      execute("insert into orders values (?, ?)", id, rig.sealed("x"));
    }
    rig.kms.keysets().rotate(RewrapRig.ORDERS);
    try (EnvelopeSource source = JdbcEnvelopeSource.of(database, "orders", "card")) {
      assertScansOneByOne(source, key.getValue().size());
      assertEquals(key.getValue().size(), rewrap(source).counts().moved());
    }
  }

  private static void assertScansOneByOne(EnvelopeSource source, int rows) throws IOException {
    Set<String> seen = new HashSet<>();
    String position = null;
    for (int i = 0; i < rows; i++) {
      List<EnvelopeRecord> page = source.scan(position, 1);
      assertEquals(1, page.size());
      position = page.get(0).id();
      assertTrue(seen.add(position), "twice");
      assertTrue(source.read(position).isPresent(), position);
    }
    assertEquals(List.of(), source.scan(position, 1));
  }

  @Test
  void binaryKey_makesAnOrder() throws Exception {
    execute("create table orders (id " + binaryType() + " primary key, card " + binaryType() + ")");
    for (int i = 0; i < 5; i++) {
      execute("insert into orders values (?, ?)", new byte[] {(byte) (i * 60)}, rig.sealed("x"));
    }
    rig.kms.keysets().rotate(RewrapRig.ORDERS);
    try (EnvelopeSource source = JdbcEnvelopeSource.of(database, "orders", "card")) {
      assertScansOneByOne(source, 5);
      assertEquals(5, rewrap(source).counts().moved());
    }
  }

  @Test
  void compositeKey_isFollowedInItsOwnOrder() throws Exception {
    execute(
        "create table orders (line integer, card "
            + binaryType()
            + ", shop varchar(20), primary key (shop, line))");
    for (String shop : List.of("a,b", "a", "a\\", "ab", "b")) {
      for (int line = 0; line < 5; line++) {
        execute("insert into orders values (?, ?, ?)", line, rig.sealed("x"), shop);
      }
    }
    rig.kms.keysets().rotate(RewrapRig.ORDERS);
    try (EnvelopeSource source = JdbcEnvelopeSource.of(database, "orders", "card")) {
      assertScansOneByOne(source, 25);
      assertEquals(25, rewrap(source).counts().moved());
      assertEquals(25, rewrap(source).counts().alreadyThere());
    }
  }

  @Test
  void namesThatNeedQuotes_areQuoted() throws Exception {
    execute("create schema \"Über\"");
    execute(
        "create table \"Über\".\"select\" (\"Group\" integer primary key, \"user\" "
            + binaryType()
            + ")");
    execute("insert into \"Über\".\"select\" values (?, ?)", 1, rig.sealed("x"));
    rig.kms.keysets().rotate(RewrapRig.ORDERS);
    try (EnvelopeSource source = JdbcEnvelopeSource.of(database, "Über.select", "user")) {
      assertEquals(1, rewrap(source).counts().moved());
      assertTrue(source.identity().endsWith("/Über/select/user"), source.identity());
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "a b",
        "orders;drop table orders",
        "orders\"",
        "1a",
        "a.b.c",
        "a.",
        "orders--",
        "nobody"
      })
  void tablesThatAreNone_areRefused(String table) throws SQLException {
    execute("create table orders (id integer primary key, card " + binaryType() + ")");
    assertThrows(
        IllegalArgumentException.class, () -> JdbcEnvelopeSource.of(database, table, "card"));
    assertThrows(
        IllegalArgumentException.class, () -> JdbcEnvelopeSource.of(database, "orders", table));
  }

  @Test
  void tablesAndColumnsThatCannotBeFollowed_areRefused() throws SQLException {
    execute("create table heap (id integer, card " + binaryType() + ")");
    execute("create table floating (id double precision primary key, card " + binaryType() + ")");
    execute("create table orders (id integer primary key, card integer)");
    for (String table : List.of("heap", "floating", "orders")) {
      assertThrows(
          IllegalArgumentException.class,
          () -> JdbcEnvelopeSource.of(database, table, "card"),
          table);
    }
  }

  @Test
  void nullsAndGarbage_areCountedAndListed() throws Exception {
    fill(20);
    execute("update orders set card = null where id in (3, 4)");
    execute("update orders set card = ? where id = 5", "garbage".getBytes(UTF_8));
    execute("update orders set card = ? where id = 6", new byte[0]);
    execute("update orders set card = ? where id = 7", rig.sealed(RewrapRig.CUSTOMERS, "7"));
    try (EnvelopeSource source = JdbcEnvelopeSource.of(database, "orders", "card")) {
      RewrapReport report = rewrap(source);
      assertEquals(
          new RewrapCounts(20, 15, 0, 0, 2, 1, 0, Map.of(Reason.NOT_AN_ENVELOPE, 2L)),
          report.counts());
      assertEquals(
          List.of("5", "6"), report.failures().stream().map(RewrapFailure::recordId).toList());
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "swx1.",
        "swx1.====",
        "swx1.AA==",
        "swx1.ä",
        "SWX1.AAAA",
        "swx1",
        "swx1.AAAA AAAA"
      })
  void textThatIsNoEnvelope_isListed(String text) throws Exception {
    execute("create table orders (id integer primary key, card varchar(1000))");
    execute("insert into orders values (1, ?)", text);
    execute("insert into orders values (2, ?)", text + "A".repeat(250));
    execute("insert into orders values (3, ?)", text + "=".repeat(250));
    try (EnvelopeSource source = JdbcEnvelopeSource.of(database, "orders", "card")) {
      assertEquals(Map.of(Reason.NOT_AN_ENVELOPE, 3L), rewrap(source).counts().failures());
    }
  }

  @Test
  void rowsThatChangeOrVanishBeforeTheWrite_areNotOverwritten() throws Exception {
    fill(10);
    byte[] written = rig.sealed("2");
    try (EnvelopeSource source = JdbcEnvelopeSource.of(database, "orders", "card")) {
      List<HeaderChange> changes = new ArrayList<>();
      for (EnvelopeRecord record : source.scan(null, 10)) {
        changes.add(new HeaderChange(record, rig.orders().rewrapHeader(record.start())));
      }
      execute("update orders set card = ? where id = 2", written);
      execute("update orders set card = null where id = 3");
      execute("delete from orders where id = 4");

      List<ReplaceOutcome> outcomes = source.replaceHeaders(changes);

      for (int i = 0; i < 10; i++) {
        ReplaceOutcome expected =
            switch (i) {
              case 2, 3 -> ReplaceOutcome.CHANGED_MEANWHILE;
              case 4 -> ReplaceOutcome.GONE;
              default -> ReplaceOutcome.REPLACED;
            };
        assertEquals(expected, outcomes.get(i), "row " + i);
      }
      assertEquals(Optional.empty(), source.read("4"));
      assertEquals(EnvelopeRecord.Content.NONE, source.read("3").orElseThrow().content());
      execute("delete from orders where id = 3");
      assertMoved(8);
    }
  }

  @Test
  void messageThatChangesUnderTheSameDataKey_isKept() throws Exception {
    fill(3);
    // The header is that of the first message, the body another: what a busy application does.
    rig.kms.keysets().promote(RewrapRig.ORDERS, 1);
    byte[] first = rig.sealed("one");
    byte[] second = rig.sealed("two");
    execute("update orders set card = ? where id = 1", first);
    rig.kms.keysets().promote(RewrapRig.ORDERS, 2);
    try (EnvelopeSource source = JdbcEnvelopeSource.of(database, "orders", "card")) {
      EnvelopeRecord record = source.read("1").orElseThrow();
      assertTrue(record.startsLike(second, 89), "one data key, one header");
      HeaderChange change = new HeaderChange(record, rig.orders().rewrapHeader(record.start()));
      execute("update orders set card = ? where id = 1", second);

      assertEquals(List.of(ReplaceOutcome.REPLACED), source.replaceHeaders(List.of(change)));

      byte[] now = (byte[]) value("select card from orders where id = 1");
      assertTrue(rig.opens("two", now));
    }
  }

  @Test
  void rowThatIsBeingWritten_isWaitedForAndKept() throws Exception {
    fill(5);
    byte[] written = rig.sealed("2");
    CountDownLatch updated = new CountDownLatch(1);
    AtomicReference<Throwable> failure = new AtomicReference<>();
    try (EnvelopeSource source = JdbcEnvelopeSource.of(database, "orders", "card")) {
      Thread application =
          new Thread(
              () -> {
                try (Connection connection = database.getConnection();
                    PreparedStatement update =
                        connection.prepareStatement("update orders set card = ? where id = 2")) {
                  connection.setAutoCommit(false);
                  update.setBytes(1, written);
                  update.executeUpdate();
                  updated.countDown();
                  Thread.sleep(300);
                  connection.commit();
                  connection.setAutoCommit(true);
                } catch (Throwable e) { // an assertion of the pool too
                  failure.set(e);
                  updated.countDown();
                }
              });
      application.start();
      updated.await();
      RewrapReport report = rewrap(source);
      application.join();
      assertEquals(null, failure.get());
      assertEquals(4, report.counts().moved());
      assertEquals(1, report.counts().alreadyThere());
      org.junit.jupiter.api.Assertions.assertArrayEquals(
          written, (byte[]) value("select card from orders where id = 2"));
    }
  }

  @Test
  void rowThatTheDatabaseRefuses_isListedAndTheRestIsMoved() throws Exception {
    fill(20);
    refuseUpdatesOf(11);
    try (EnvelopeSource source = JdbcEnvelopeSource.of(database, "orders", "card")) {
      RewrapReport report = rewrap(source);
      assertEquals(Map.of(Reason.WRITE_REFUSED, 1L), report.counts().failures());
      assertEquals("11", report.failures().get(0).recordId());
      assertEquals(19, report.counts().moved());
    }
  }

  /** Makes the database refuse any update of a row. */
  abstract void refuseUpdatesOf(int id) throws SQLException;

  @Test
  void tableThatVanishesOrChangesItsType_stopsTheJob() throws Exception {
    fill(5);
    try (EnvelopeSource source = JdbcEnvelopeSource.of(database, "orders", "card")) {
      execute("alter table orders rename to other");
      RewrapException stopped = assertThrows(RewrapException.class, () -> rewrap(source));
      assertEquals(RewrapException.Reason.SOURCE_UNAVAILABLE, stopped.reason());
      assertFalse(stopped.getMessage().contains("other"));
      assertNotNull(stopped.getCause());
    }
  }

  @Test
  void emptyTable_isDoneAtOnce() throws Exception {
    fill(0);
    try (EnvelopeSource source = JdbcEnvelopeSource.of(database, "orders", "card")) {
      assertEquals(0, rewrap(source).counts().scanned());
      assertTrue(source.size().isEmpty());
    }
  }

  @Test
  void closedSource_isRefused() throws Exception {
    fill(1);
    EnvelopeSource source = JdbcEnvelopeSource.of(database, "orders", "card");
    source.scan(null, 1);
    source.close();
    source.close();
    assertThrows(IllegalStateException.class, () -> source.scan(null, 1));
  }
}
