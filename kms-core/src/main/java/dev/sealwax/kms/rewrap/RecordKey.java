package dev.sealwax.kms.rewrap;

import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;

/**
 * The values of a primary key as one id: themselves if there is one, joined by commas if there are
 * several, with commas and backslashes in them escaped by a backslash. Reads it from a row and
 * binds it to a statement.
 */
final class RecordKey {
  private RecordKey() {}

  static String join(List<String> values) {
    if (values.size() == 1) {
      return values.get(0);
    }
    StringBuilder id = new StringBuilder();
    for (int i = 0; i < values.size(); i++) {
      id.append(i == 0 ? "" : ",").append(values.get(i).replace("\\", "\\\\").replace(",", "\\,"));
    }
    return id.toString();
  }

  /** The id of a row whose first columns are those of the key. */
  static String read(List<KeyColumn> keys, ResultSet row) throws SQLException {
    List<String> values = new ArrayList<>(keys.size());
    for (int i = 0; i < keys.size(); i++) {
      values.add(keys.get(i).read(row, i + 1));
    }
    return join(values);
  }

  /** Binds the values of an id that {@link #read} gave to places that follow each other. */
  static void bind(List<KeyColumn> keys, PreparedStatement statement, int firstIndex, String id)
      throws SQLException {
    List<String> values = split(id, keys.size());
    for (int i = 0; i < values.size(); i++) {
      keys.get(i).bind(statement, firstIndex + i, values.get(i));
    }
  }

  /**
   * Undoes {@link #join}.
   *
   * @throws IllegalArgumentException if the id has another number of values
   */
  static List<String> split(String id, int count) {
    if (count == 1) {
      return List.of(id);
    }
    List<String> values = new ArrayList<>(count);
    StringBuilder value = new StringBuilder();
    for (int i = 0; i < id.length(); i++) {
      char c = id.charAt(i);
      if (c == '\\' && i + 1 < id.length()) {
        i++;
        value.append(id.charAt(i));
      } else if (c == ',') {
        values.add(value.toString());
        value.setLength(0);
      } else {
        value.append(c);
      }
    }
    values.add(value.toString());
    if (values.size() != count) {
      throw new IllegalArgumentException(
          "a record id of this table has " + count + " values, got " + values.size());
    }
    return values;
  }
}
