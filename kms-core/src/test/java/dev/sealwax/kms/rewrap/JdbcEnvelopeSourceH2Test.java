package dev.sealwax.kms.rewrap;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.vocabulary.RewrapException;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Arrays;
import javax.sql.DataSource;
import org.h2.api.Trigger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class JdbcEnvelopeSourceH2Test extends JdbcEnvelopeSourceContract {
  @Override
  DataSource open() {
    return RewrapDatabase.h2();
  }

  @Override
  String binaryType() {
    return "varbinary(100000)";
  }

  @Override
  void refuseUpdatesOf(int id) throws SQLException {
    execute(
        "create trigger refuse before update on orders for each row call '"
            + RefuseEleven.class.getName()
            + "'");
    assertEquals(RefuseEleven.ID, id);
  }

  /** H2 makes it by its name. */
  public static final class RefuseEleven implements Trigger {
    static final int ID = 11;

    @Override
    public void fire(Connection connection, Object[] before, Object[] after) throws SQLException {
      if (((Number) before[0]).intValue() == ID) {
        throw new SQLException("no: " + Arrays.toString(after), "23513");
      }
    }
  }

  @Test
  void size_isCounted() throws Exception {
    execute("create table orders (id integer primary key, card varbinary(10))");
    execute("insert into orders select x, x'00' from system_range(1, 100)");
    try (EnvelopeSource source = JdbcEnvelopeSource.of(database, "orders", "card")) {
      assertEquals(100, source.size().orElseThrow());
    }
  }

  @Test
  void fileThatIsWrittenLater_isRefused(@TempDir Path directory) throws Exception {
    String url = "jdbc:h2:file:" + directory.resolve("db").toAbsolutePath();
    try (Connection connection = DriverManager.getConnection(url);
        PreparedStatement insert = filled(connection)) {
      insert.setBytes(1, rig.sealed("x"));
      insert.execute();
    }
    rig.kms.keysets().rotate(RewrapRig.ORDERS);
    try (EnvelopeSource source =
        JdbcEnvelopeSource.of(() -> DriverManager.getConnection(url), "orders", "card")) {
      RewrapException stopped = assertThrows(RewrapException.class, () -> rewrap(source));
      assertTrue(stopped.getCause().getMessage().contains("WRITE_DELAY=0"));
    }
    try (EnvelopeSource source =
        JdbcEnvelopeSource.of(
            () -> DriverManager.getConnection(url + ";WRITE_DELAY=0"), "orders", "card")) {
      assertEquals(1, rewrap(source).counts().moved());
    }
  }

  private static PreparedStatement filled(Connection connection) throws SQLException {
    try (Statement create = connection.createStatement()) {
      create.execute("create table orders (id identity primary key, card varbinary(1000))");
    }
    return connection.prepareStatement("insert into orders (card) values (?)");
  }
}
