package dev.sealwax.kms.rewrap;

import java.util.ArrayList;
import java.util.List;

/**
 * The values of a primary key as one id: themselves if there is one, joined by commas if there are
 * several, with commas and backslashes in them escaped by a backslash.
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
