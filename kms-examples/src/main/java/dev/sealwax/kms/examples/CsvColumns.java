package dev.sealwax.kms.examples;

import dev.sealwax.kms.vocabulary.EncryptionContext;
import java.util.ArrayList;
import java.util.List;

/**
 * Which columns of a table are sealed, and what names a row: together they are the encryption
 * context of a value. Immutable.
 */
final class CsvColumns {
  private static final int ROW_NUMBER = -1;

  private final String table;
  private final List<String> header;
  private final List<Integer> sealed;
  private final int key;

  private CsvColumns(String table, List<String> header, List<Integer> sealed, int key) {
    this.table = table;
    this.header = header;
    this.sealed = List.copyOf(sealed);
    this.key = key;
  }

  static CsvColumns choose(String table, List<String> header, Options options) {
    String keyName = options.key();
    int key =
        options.byRowNumber() ? ROW_NUMBER : keyName == null ? 0 : find(table, header, keyName);
    List<Integer> sealed = new ArrayList<>();
    for (String name : options.columns()) {
      int column = find(table, header, name);
      if (column == key) {
        throw new InputException(
            "column " + name + " names the rows, so it stays readable; see --key");
      }
      if (sealed.contains(column)) {
        throw new InputException("--columns names " + name + " twice");
      }
      sealed.add(column);
    }
    if (options.columns().isEmpty()) {
      for (int column = 0; column < header.size(); column++) {
        if (column != key) {
          sealed.add(column);
        }
      }
    }
    if (sealed.isEmpty()) {
      throw new InputException(table + " has one column only; see --delimiter and --row-numbers");
    }
    return new CsvColumns(table, header, sealed, key);
  }

  private static int find(String table, List<String> header, String name) {
    int column = header.indexOf(name);
    if (column < 0) {
      throw new InputException(
          table + " has no column " + name + "; it has " + String.join(", ", header));
    }
    return column;
  }

  /** The positions of the sealed columns. */
  List<Integer> sealed() {
    return sealed;
  }

  int count() {
    return sealed.size();
  }

  String rowKey(CsvRows.Row row) {
    return key == ROW_NUMBER ? Long.toString(row.number()) : row.fields().get(key);
  }

  /**
   * What the value of a column in a row is bound to.
   *
   * @throws IllegalArgumentException if the key of the row is too long for a context
   */
  EncryptionContext context(int column, CsvRows.Row row) {
    return EncryptionContext.of("table", table, "column", header.get(column), "row", rowKey(row));
  }

  @Override
  public String toString() {
    return String.join(", ", sealed.stream().map(header::get).toList());
  }
}
