package dev.sealwax.kms.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

final class KeysetTablesTest {
  private static final String LONGEST = "t".repeat(48);

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        ".",
        "a.",
        ".a",
        "a.b.c",
        "1a",
        "Keysets",
        "key-sets",
        "a b",
        "a;drop table b",
        "a\"b",
        "a'b",
        "a\n",
        "ä",
        "a--",
        "a$"
      })
  void named_withAnythingButANname_isRefused(String name) {
    assertThrows(IllegalArgumentException.class, () -> KeysetTables.named(name));
    assertThrows(IllegalArgumentException.class, () -> JdbcSchema.H2.sql(name));
    assertThrows(
        IllegalArgumentException.class, () -> JdbcKeysetStore.builder(H2.inMemory()).table(name));
  }

  @Test
  void named_tooLong_isRefused() {
    assertThrows(IllegalArgumentException.class, () -> KeysetTables.named(LONGEST + "t"));
    assertThrows(IllegalArgumentException.class, () -> KeysetTables.named(LONGEST + "t.a"));
    assertEquals(LONGEST, KeysetTables.named(LONGEST + "." + LONGEST).channel());
  }

  @Test
  void channel_isTheTableWithoutItsSchema() {
    assertEquals("keys_2", KeysetTables.named("app.keys_2").channel());
    assertEquals("_k", KeysetTables.named("_k").channel());
  }

  @ParameterizedTest
  @EnumSource
  void sql_ofAnotherTable_doesNotNameTheDefault(JdbcSchema schema) {
    assertTrue(schema.sql().contains("CREATE TABLE sealwax_keysets_changes ("));
    String other = schema.sql("app.keys");
    assertTrue(other.contains("CREATE TABLE app.keys ("), other);
    assertTrue(other.contains("CREATE TABLE app.keys_changes ("), other);
    assertFalse(other.contains("sealwax_keysets"), other);
  }

  @Test
  void of_productName() {
    assertEquals(Optional.of(JdbcSchema.POSTGRESQL), JdbcSchema.of("PostgreSQL"));
    assertEquals(Optional.of(JdbcSchema.H2), JdbcSchema.of("H2"));
    assertEquals(Optional.empty(), JdbcSchema.of("MySQL"));
  }

  @ParameterizedTest
  @EnumSource
  void createTables_withLongestNames_works(JdbcSchema kind) throws Exception {
    javax.sql.DataSource database =
        kind == JdbcSchema.H2 ? H2.inMemory() : PostgresServer.shared().freshSchema();
    String schema = "x" + LONGEST.substring(1);
    PostgresServer.execute(database, "CREATE SCHEMA " + schema);
    JdbcKeysetStore.Builder builder =
        JdbcKeysetStore.builder(database).table(schema + "." + LONGEST);
    builder.createTables();
    try (JdbcKeysetStore store = builder.open()) {
      store.create(KeysetStoreChild.keyset(1, 10));
      store.replace(KeysetStoreChild.keyset(2, 10));
      assertEquals(2, store.load(KeysetStoreChild.ORDERS).orElseThrow().revision());
    }
    PostgresServer.execute(database, "DROP SCHEMA " + schema + " CASCADE");
  }
}
