package dev.sealwax.kms.store;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Objects;
import java.util.Optional;

/**
 * The tables of a {@link JdbcKeysetStore}, as SQL for one kind of database: for a migration tool,
 * or to read before {@link JdbcKeysetStore#createTables} runs it.
 *
 * <p>Another database needs the same two tables, with names compared byte by byte, a document
 * column for 1,048,576 ASCII characters, and row 0 of the changes with a random token.
 */
public enum JdbcSchema {
  /** PostgreSQL 13 or later. */
  POSTGRESQL("PostgreSQL", "keysets-postgresql.sql"),

  /** H2 2. */
  H2("H2", "keysets-h2.sql");

  private final String productName;
  private final String resource;

  JdbcSchema(String productName, String resource) {
    this.productName = productName;
    this.resource = resource;
  }

  /** The statements for the default name {@code sealwax_keysets}. */
  public String sql() {
    return sql(KeysetTables.DEFAULT_NAME);
  }

  /**
   * The statements for tables of another name.
   *
   * @throws IllegalArgumentException if the name is none that {@link JdbcKeysetStore.Builder#table}
   *     takes
   */
  public String sql(String table) {
    return sql(KeysetTables.named(Objects.requireNonNull(table, "table")));
  }

  String sql(KeysetTables tables) {
    try (InputStream in =
        Objects.requireNonNull(JdbcSchema.class.getResourceAsStream(resource), resource)) {
      return tables.rename(new String(in.readAllBytes(), StandardCharsets.US_ASCII));
    } catch (IOException e) {
      throw new UncheckedIOException("the jar of Sealwax is damaged, at " + resource, e);
    }
  }

  /** The schema for what a driver calls its database. */
  static Optional<JdbcSchema> of(String productName) {
    for (JdbcSchema schema : values()) {
      if (schema.productName.equals(productName)) {
        return Optional.of(schema);
      }
    }
    return Optional.empty();
  }
}
