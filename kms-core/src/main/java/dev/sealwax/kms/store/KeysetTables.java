package dev.sealwax.kms.store;

import java.util.regex.Pattern;

/**
 * The two tables of a {@link JdbcKeysetStore} and every statement about them.
 *
 * <p>The table's name is the only text that gets into a statement, and it is checked here; values
 * are parameters. SQL is kept to what PostgreSQL, H2, MariaDB and MySQL have in common. Immutable;
 * safe for any thread.
 */
final class KeysetTables {
  static final String DEFAULT_NAME = "sealwax_keysets";

  private static final String CHANGES_SUFFIX = "_changes";

  // 48: with "_changes_pkey" behind it a name must stay within PostgreSQL's 63 bytes. Lower case:
  // databases fold unquoted names in different directions, and quoted ones would have to be quoted
  // for ever after.
  private static final Pattern NAME =
      Pattern.compile("([a-z_][a-z0-9_]{0,47}\\.)?[a-z_][a-z0-9_]{0,47}");

  private final String keysets;
  private final String changes;

  private KeysetTables(String keysets) {
    this.keysets = keysets;
    this.changes = keysets + CHANGES_SUFFIX;
  }

  /**
   * Names the tables.
   *
   * @param name of the table of keysets, perhaps with its schema before a dot; the table of changes
   *     has {@code _changes} added
   * @throws IllegalArgumentException if the name is not made of lower-case letters, digits and
   *     underscores
   */
  static KeysetTables named(String name) {
    if (!NAME.matcher(name).matches()) {
      throw new IllegalArgumentException(
          "table name must be like sealwax_keysets or schema.sealwax_keysets: of a-z 0-9 _, at most"
              + " 48 characters each, got \""
              + name
              + "\"");
    }
    return new KeysetTables(name);
  }

  /** The statements of {@code schema}, which are written for the default name, for these tables. */
  String rename(String schema) {
    return schema.replace(DEFAULT_NAME, keysets);
  }

  /** What a database that can push calls the writes of these tables; no schema, for brevity. */
  String channel() {
    return keysets.substring(keysets.indexOf('.') + 1);
  }

  String select() {
    return "SELECT name, revision, document FROM " + keysets + " WHERE name = ?";
  }

  String selectRevision() {
    return "SELECT revision FROM " + keysets + " WHERE name = ?";
  }

  String insert() {
    return "INSERT INTO " + keysets + " (name, revision, document) VALUES (?, ?, ?)";
  }

  String update() {
    return "UPDATE " + keysets + " SET revision = ?, document = ? WHERE name = ? AND revision = ?";
  }

  String selectNames() {
    return "SELECT name FROM " + keysets + " WHERE name > ? ORDER BY name LIMIT ?";
  }

  String lockChanges() {
    return "SELECT change_number FROM " + changes + " WHERE change_number = 0 FOR UPDATE";
  }

  String selectLastChange() {
    return "SELECT change_number, token FROM " + changes + " ORDER BY change_number DESC LIMIT 1";
  }

  String selectChangesFrom() {
    return "SELECT change_number, token, name FROM "
        + changes
        + " WHERE change_number >= ? ORDER BY change_number";
  }

  String insertChange() {
    return "INSERT INTO " + changes + " (change_number, token, name) VALUES (?, ?, ?)";
  }

  String deleteChanges() {
    return "DELETE FROM " + changes + " WHERE change_number > 0 AND change_number <= ?";
  }

  @Override
  public String toString() {
    return keysets;
  }
}
