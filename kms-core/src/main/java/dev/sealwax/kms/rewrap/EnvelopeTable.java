package dev.sealwax.kms.rewrap;

import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * A column of a table in a database: its names as the database spells them, its primary key, the
 * statements over them, and the record in a row. Names are letters, digits and underscores, checked
 * here, and quoted wherever they stand; values are always bound. Immutable.
 *
 * @param schema the schema, or empty if the database has none
 */
record EnvelopeTable(
    Database database,
    String catalog,
    String schema,
    String table,
    String column,
    ColumnForm form,
    List<KeyColumn> keys) {
  /** The databases whose dialect is known. */
  enum Database {
    POSTGRESQL,
    H2
  }

  private static final Pattern NAME = Pattern.compile("[\\p{L}_][\\p{L}\\p{N}_$]{0,62}");
  private static final Pattern TYPE_NAME = Pattern.compile("[a-z][a-z0-9_ ]{0,62}");

  /**
   * Looks a column up.
   *
   * @param name the table, with or without its schema
   * @throws IllegalArgumentException if there is no such table or column, the table has no primary
   *     key, or one of the types is not supported
   */
  static EnvelopeTable find(Connection connection, String name, String column) throws SQLException {
    Database database = database(connection.getMetaData());
    String[] parts = name.split("\\.", -1);
    if (parts.length > 2) {
      throw new IllegalArgumentException("table must be a name or schema.name, got " + name);
    }
    String table = parts[parts.length - 1];
    List.of(parts).forEach(EnvelopeTable::requireName);
    requireName(column);
    EnvelopeTable found =
        find(connection, database, parts.length == 2 ? parts[0] : null, table, column);
    if (found == null) {
      // As the database would read the names without quotes.
      found =
          find(
              connection,
              database,
              parts.length == 2 ? fold(database, parts[0]) : null,
              fold(database, table),
              fold(database, column));
    }
    if (found == null) {
      throw new IllegalArgumentException("there is no column " + column + " in a table " + name);
    }
    return found;
  }

  private static Database database(DatabaseMetaData metaData) throws SQLException {
    String product = metaData.getDatabaseProductName();
    return switch (product) {
      case "PostgreSQL" -> Database.POSTGRESQL;
      case "H2" -> Database.H2;
      default ->
          throw new IllegalArgumentException(
              "rewrapping in "
                  + product
                  + " has not been tried; PostgreSQL and H2 have. Implement EnvelopeSource");
    };
  }

  private static void requireName(String name) {
    if (!NAME.matcher(name).matches()) {
      throw new IllegalArgumentException(
          "names may hold letters, digits, _ and $, do not start with a digit or $, and"
              + " have at most 63 characters; got \""
              + name
              + "\"");
    }
  }

  private static String fold(Database database, String name) {
    return database == Database.H2 ? name.toUpperCase(Locale.ROOT) : name.toLowerCase(Locale.ROOT);
  }

  private static @Nullable EnvelopeTable find(
      Connection connection,
      Database database,
      @Nullable String givenSchema,
      String table,
      String column)
      throws SQLException {
    DatabaseMetaData metaData = connection.getMetaData();
    String schema = givenSchema != null ? givenSchema : connection.getSchema();
    String literal = metaData.getSearchStringEscape();
    try (ResultSet columns =
        metaData.getColumns(
            null, pattern(schema, literal), pattern(table, literal), pattern(column, literal))) {
      if (!columns.next()) {
        return null;
      }
    }
    // Through an empty result, because some drivers' column catalogs and results disagree on types.
    TreeMap<Short, String> keyNames = new TreeMap<>();
    try (ResultSet keys = metaData.getPrimaryKeys(null, schema, table)) {
      while (keys.next()) {
        keyNames.put(keys.getShort("KEY_SEQ"), keys.getString("COLUMN_NAME"));
      }
    }
    if (keyNames.isEmpty()) {
      throw new IllegalArgumentException(
          "table " + schema + "." + table + " has no primary key, so its rows have no order");
    }
    List<String> names = new ArrayList<>(keyNames.values());
    names.add(column);
    String select =
        "SELECT "
            + names.stream().map(EnvelopeTable::quote).collect(Collectors.joining(", "))
            + " FROM "
            + quote(schema)
            + "."
            + quote(table)
            + " WHERE 1 = 0";
    try (PreparedStatement statement = connection.prepareStatement(select);
        ResultSet nothing = statement.executeQuery()) {
      ResultSetMetaData types = nothing.getMetaData();
      List<KeyColumn> keys = new ArrayList<>();
      for (int i = 1; i < names.size(); i++) {
        keys.add(keyColumn(names.get(i - 1), types.getColumnType(i), types.getColumnTypeName(i)));
      }
      ColumnForm form = ColumnForm.of(types.getColumnType(names.size()));
      if (form == null) {
        throw new IllegalArgumentException(
            "column "
                + column
                + " has the type "
                + types.getColumnTypeName(names.size())
                + "; envelopes stand in binary and in character columns");
      }
      String catalog = connection.getCatalog();
      return new EnvelopeTable(
          database, catalog == null ? "" : catalog, schema, table, column, form, keys);
    }
  }

  private static KeyColumn keyColumn(String name, int type, String typeName) {
    KeyColumn.Kind kind = KeyColumn.kind(type, typeName);
    if (kind == null || !TYPE_NAME.matcher(typeName.toLowerCase(Locale.ROOT)).matches()) {
      throw new IllegalArgumentException(
          "key column "
              + name
              + " has the type "
              + typeName
              + ", whose values make no exact position");
    }
    return new KeyColumn(name, kind, typeName);
  }

  private static String pattern(String name, String escape) {
    return name.replace("_", escape + "_");
  }

  private static String quote(String name) {
    return '"' + name.replace("\"", "\"\"") + '"';
  }

  String identity() {
    return "jdbc/" + String.join("/", catalog, schema, table, column);
  }

  private String qualified() {
    return quote(schema) + "." + quote(table);
  }

  private String keyList() {
    return keys.stream().map(key -> quote(key.name())).collect(Collectors.joining(", "));
  }

  /** A place for a value of a key column, typed where the database would otherwise guess. */
  private String place(KeyColumn key) {
    return database == Database.POSTGRESQL ? "CAST(? AS " + key.castName() + ")" : "?";
  }

  private String start() {
    return "SUBSTRING(" + quote(column) + " FROM 1 FOR " + form.startLength() + ")";
  }

  /** Key columns and the start of the value, of the first rows, or those behind a key. */
  String selectPage(boolean behindKey, int limit) {
    String condition =
        behindKey
            ? " WHERE ("
                + keyList()
                + ") > ("
                + keys.stream().map(this::place).collect(Collectors.joining(", "))
                + ")"
            : "";
    return "SELECT "
        + keyList()
        + ", "
        + start()
        + " FROM "
        + qualified()
        + condition
        + " ORDER BY "
        + keyList()
        + " LIMIT "
        + limit;
  }

  private String valueType() {
    if (form == ColumnForm.BINARY) {
      return database == Database.POSTGRESQL ? "bytea" : "VARBINARY";
    }
    return database == Database.POSTGRESQL ? "text" : "VARCHAR";
  }

  /** The start of one value. */
  private String selectOne() {
    return "SELECT " + start() + " FROM " + qualified() + " WHERE " + keyEquals();
  }

  /** The record of an id, as it is now, or nothing if there is no such row. */
  Optional<EnvelopeRecord> read(Connection connection, String id) throws SQLException {
    try (PreparedStatement select = connection.prepareStatement(selectOne())) {
      RecordKey.bind(keys, select, 1, id);
      try (ResultSet row = select.executeQuery()) {
        return row.next() ? Optional.of(form.read(id, row, 1)) : Optional.empty();
      }
    }
  }

  /** One value. */
  String selectWhole() {
    return "SELECT " + quote(column) + " FROM " + qualified() + " WHERE " + keyEquals();
  }

  /** Replaces one value: new value, key, old value. */
  String updateWhole() {
    // Compared as its own type: PostgreSQL would take the padding from one side only.
    String oldType =
        form == ColumnForm.PADDED_TEXT && database == Database.POSTGRESQL ? "bpchar" : valueType();
    return "UPDATE "
        + qualified()
        + " SET "
        + quote(column)
        + " = CAST(? AS "
        + valueType()
        + ") WHERE "
        + keyEquals()
        + " AND "
        + quote(column)
        + " = CAST(? AS "
        + oldType
        + ")";
  }

  String count() {
    return "SELECT COUNT(*) FROM " + qualified();
  }

  private String keyEquals() {
    return keys.stream()
        .map(key -> quote(key.name()) + " = " + place(key))
        .collect(Collectors.joining(" AND "));
  }

  /**
   * Replaces the start of one value: new start, its length plus one, key, length of the old start,
   * old start.
   */
  String updateOne() {
    return "UPDATE "
        + qualified()
        + " SET "
        + quote(column)
        // Cast: H2 takes a parameter beside || for text, and would turn the bytes into text and
        // back.
        + " = CAST(? AS "
        + valueType()
        + ") || SUBSTRING("
        + quote(column)
        + " FROM ?) WHERE "
        + keyEquals()
        + " AND SUBSTRING("
        + quote(column)
        + " FROM 1 FOR ?) = CAST(? AS "
        + valueType()
        + ")";
  }

  /**
   * Replaces the starts of many values in one statement and returns the ordinals of those that were
   * replaced: an array for each key column, one of new starts, one of old ones, the first key and
   * the last. Null where the dialect has no such thing.
   */
  @Nullable String updateMany() {
    if (database != Database.POSTGRESQL) {
      return null;
    }
    String type = valueType();
    StringBuilder arrays = new StringBuilder();
    StringBuilder names = new StringBuilder();
    StringBuilder match = new StringBuilder();
    for (int i = 0; i < keys.size(); i++) {
      KeyColumn key = keys.get(i);
      arrays.append("CAST(? AS ").append(key.castName()).append("[]), ");
      names.append("k").append(i).append(", ");
      match.append("t.").append(quote(key.name())).append(" = v.k").append(i).append(" AND ");
    }
    String range =
        keys.stream()
            .map(key -> "t." + quote(key.name()))
            .collect(Collectors.joining(", ", "(", ")"));
    String places = keys.stream().map(this::place).collect(Collectors.joining(", "));
    String value = "t." + quote(column);
    return "UPDATE "
        + qualified()
        + " AS t SET "
        + quote(column)
        + " = v.new_start || SUBSTRING("
        + value
        + " FROM LENGTH(v.new_start) + 1) FROM UNNEST("
        + arrays
        + "CAST(? AS "
        + type
        + "[]), CAST(? AS "
        + type
        + "[])) WITH ORDINALITY AS v("
        + names
        + "new_start, old_start, n) WHERE "
        + match
        + "SUBSTRING("
        + value
        + " FROM 1 FOR LENGTH(v.old_start)) = v.old_start AND "
        // Else a planner that thinks the table small would read all of it for each batch.
        + range
        + " >= ("
        + places
        + ") AND "
        + range
        + " <= ("
        + places
        + ") RETURNING v.n";
  }
}
