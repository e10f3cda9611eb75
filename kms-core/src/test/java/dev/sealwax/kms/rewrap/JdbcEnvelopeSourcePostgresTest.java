package dev.sealwax.kms.rewrap;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.sql.SQLException;
import javax.sql.DataSource;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.postgresql.ds.PGSimpleDataSource;

class JdbcEnvelopeSourcePostgresTest extends JdbcEnvelopeSourceContract {
  @Override
  DataSource open() throws SQLException {
    return RewrapDatabase.postgres();
  }

  @AfterEach
  void everyConnection_isGivenBack() {
    assertEquals(0, RewrapDatabase.lentByPostgres());
  }

  @Override
  String binaryType() {
    return "bytea";
  }

  @Override
  void refuseUpdatesOf(int id) throws SQLException {
    execute(
        "create function refuse() returns trigger language plpgsql as $$ begin raise exception"
            + " 'no'; end $$");
    execute(
        "create trigger refuse before update on orders for each row when (old.id = "
            + id
            + ") execute function refuse()");
  }

  @Test
  void size_isWhatTheStatisticsSay() throws Exception {
    execute("create table orders (id serial primary key, card bytea)");
    execute("insert into orders (card) select '\\x00' from generate_series(1, 100)");
    execute("analyze orders");
    try (EnvelopeSource source = JdbcEnvelopeSource.of(database, "orders", "card")) {
      assertEquals(100, source.size().orElseThrow());
    }
  }

  @Test
  void commitsThatAreNotDurable_areMadeSo() throws Exception {
    PGSimpleDataSource notDurable = new PGSimpleDataSource();
    notDurable.setUrl(RewrapDatabase.lastPostgresUrl());
    notDurable.setOptions("-c synchronous_commit=off");
    database = notDurable;
    execute("create table orders (id integer primary key, card bytea)");
    execute(
        "create function seen() returns trigger language plpgsql as $$ begin if"
            + " current_setting('synchronous_commit') <> 'on' then raise exception 'not durable';"
            + " end if; return new; end $$");
    execute("insert into orders values (1, ?)", rig.sealed("x"));
    execute("create trigger seen before update on orders for each row execute function seen()");
    rig.kms.keysets().rotate(RewrapRig.ORDERS);
    try (EnvelopeSource source = JdbcEnvelopeSource.of(database, "orders", "card")) {
      assertEquals(1, rewrap(source).counts().moved());
    }
  }

  @Test
  void serialKey_isAnInteger() throws Exception {
    execute("create table orders (id bigserial primary key, card bytea)");
    for (int i = 0; i < 10; i++) {
      execute("insert into orders (card) values (?)", rig.sealed("x"));
    }
    rig.kms.keysets().rotate(RewrapRig.ORDERS);
    try (EnvelopeSource source = JdbcEnvelopeSource.of(database, "orders", "card")) {
      assertEquals(10, rewrap(source).counts().moved());
    }
  }

  @Test
  void partitionedTable_isOneTable() throws Exception {
    execute(
        "create table orders (id integer, day date, card bytea, primary key (day, id)) partition"
            + " by range (day)");
    execute("create table a partition of orders for values from ('2026-01-01') to ('2026-02-01')");
    execute("create table b partition of orders for values from ('2026-02-01') to ('2026-03-01')");
    for (int i = 0; i < 10; i++) {
      execute(
          "insert into orders values (?, ?, ?)",
          i,
          java.time.LocalDate.of(2026, 1 + i % 2, 7),
          rig.sealed("x"));
    }
    rig.kms.keysets().rotate(RewrapRig.ORDERS);
    try (EnvelopeSource source = JdbcEnvelopeSource.of(database, "orders", "card")) {
      assertEquals(10, rewrap(source).counts().moved());
    }
  }
}
