package dev.sealwax.kms.rewrap;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.sql.Connection;
import java.sql.SQLException;
import java.util.Arrays;
import javax.sql.DataSource;
import org.h2.api.Trigger;
import org.junit.jupiter.api.Test;

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
}
