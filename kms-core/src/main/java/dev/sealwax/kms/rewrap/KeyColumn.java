package dev.sealwax.kms.rewrap;

import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Types;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.OffsetDateTime;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * A column of a primary key: its values go through text, exactly, because a text is what a record's
 * id and a checkpoint's position are made of.
 *
 * @param name as the database spells it
 * @param kind what its values are
 * @param typeName what the database calls its type
 */
record KeyColumn(String name, Kind kind, String typeName) {
  /** Types whose values survive a trip through text. Floating point is not one of them. */
  enum Kind {
    INTEGER,
    DECIMAL,
    TEXT,
    UUID,
    BYTES,
    DATE,
    TIME_STAMP,
    ZONED_TIME_STAMP
  }

  /** The kind of a JDBC type, or null if it is none of ours. */
  static @Nullable Kind kind(int jdbcType, String typeName) {
    String name = typeName.toLowerCase(Locale.ROOT);
    if (name.equals("uuid")) {
      return Kind.UUID; // H2 reports it as BINARY, PostgreSQL as OTHER
    }
    if (name.equals("timestamptz")) {
      return Kind.ZONED_TIME_STAMP; // PostgreSQL reports it as TIMESTAMP
    }
    return switch (jdbcType) {
      case Types.TINYINT, Types.SMALLINT, Types.INTEGER, Types.BIGINT -> Kind.INTEGER;
      case Types.NUMERIC, Types.DECIMAL -> Kind.DECIMAL;
      case Types.CHAR, Types.VARCHAR, Types.LONGVARCHAR, Types.NCHAR, Types.NVARCHAR -> Kind.TEXT;
      case Types.BINARY, Types.VARBINARY, Types.LONGVARBINARY -> Kind.BYTES;
      case Types.DATE -> Kind.DATE;
      case Types.TIMESTAMP -> Kind.TIME_STAMP;
      case Types.TIMESTAMP_WITH_TIMEZONE -> Kind.ZONED_TIME_STAMP;
      default -> null;
    };
  }

  /** What PostgreSQL should take a bound value for. It calls some integers "serial". */
  String castName() {
    return kind == Kind.INTEGER ? "int8" : typeName;
  }

  String read(ResultSet row, int index) throws SQLException {
    return switch (kind) {
      case INTEGER -> Long.toString(row.getLong(index));
      case DECIMAL -> row.getBigDecimal(index).toString();
      case TEXT -> row.getString(index);
      case UUID -> row.getObject(index, UUID.class).toString();
      case BYTES -> HexFormat.of().formatHex(row.getBytes(index));
      case DATE -> row.getObject(index, LocalDate.class).toString();
      case TIME_STAMP -> row.getObject(index, LocalDateTime.class).toString();
      case ZONED_TIME_STAMP -> row.getObject(index, OffsetDateTime.class).toString();
    };
  }

  /**
   * Binds a value that {@link #read} gave.
   *
   * @throws IllegalArgumentException if it gave no such value
   * @throws java.time.DateTimeException the same for times
   */
  void bind(PreparedStatement statement, int index, String value) throws SQLException {
    switch (kind) {
      case INTEGER -> statement.setLong(index, Long.parseLong(value));
      case DECIMAL -> statement.setBigDecimal(index, new BigDecimal(value));
      case TEXT -> statement.setString(index, value);
      case UUID -> statement.setObject(index, UUID.fromString(value));
      case BYTES -> statement.setBytes(index, HexFormat.of().parseHex(value));
      case DATE -> statement.setObject(index, LocalDate.parse(value));
      case TIME_STAMP -> statement.setObject(index, LocalDateTime.parse(value));
      case ZONED_TIME_STAMP -> statement.setObject(index, OffsetDateTime.parse(value));
    }
  }

  /** Binds many values as one array, for PostgreSQL. */
  void bindArray(Connection connection, PreparedStatement statement, int index, List<String> values)
      throws SQLException {
    Object[] elements =
        switch (kind) {
          case INTEGER -> values.stream().map(Long::valueOf).toArray(Long[]::new);
          case BYTES -> values.stream().map(HexFormat.of()::parseHex).toArray(byte[][]::new);
          default -> values.toArray(String[]::new);
        };
    statement.setArray(index, connection.createArrayOf(castName(), elements));
  }
}
