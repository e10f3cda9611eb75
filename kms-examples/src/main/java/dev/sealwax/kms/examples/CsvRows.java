package dev.sealwax.kms.examples;

import java.io.BufferedReader;
import java.io.Closeable;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Set;
import org.apache.commons.csv.CSVException;
import org.apache.commons.csv.CSVFormat;
import org.apache.commons.csv.CSVParser;
import org.apache.commons.csv.CSVRecord;
import org.jspecify.annotations.Nullable;

/**
 * The rows of a CSV in UTF-8 with a header, read one by one. What is not as it should be ends the
 * reading with the number of its line; a field is never guessed.
 */
final class CsvRows implements Closeable {
  private static final int BYTE_ORDER_MARK = 0xFEFF;

  /**
   * One row.
   *
   * @param line where it starts in the file, from 1
   * @param number which row it is, from 1
   */
  record Row(long line, long number, List<String> fields) {}

  private final Path file;
  private final CSVParser parser;
  private final Iterator<CSVRecord> records;
  private final List<String> header;
  private long number;

  private CsvRows(Path file, CSVParser parser) {
    this.file = file;
    this.parser = parser;
    this.records = parser.iterator();
    Row first = read();
    if (first == null) {
      throw new InputException(file + " is empty; its first line must name the columns");
    }
    this.header = first.fields();
    requireDistinctNames();
    this.number = 0;
  }

  static CsvRows open(Path file, char delimiter) throws IOException {
    // A decoder of its own because the reader of Files would not say "not UTF-8" for Latin-1.
    BufferedReader text =
        new BufferedReader(
            new InputStreamReader(Files.newInputStream(file), StandardCharsets.UTF_8.newDecoder()));
    try {
      text.mark(1);
      if (text.read() != BYTE_ORDER_MARK) {
        text.reset();
      }
      return new CsvRows(
          file, CSVParser.builder().setReader(text).setFormat(format(delimiter)).get());
    } catch (CharacterCodingException e) {
      text.close();
      throw new InputException(file + " is not UTF-8");
    } catch (IOException | RuntimeException e) {
      text.close();
      throw e;
    }
  }

  static CSVFormat format(char delimiter) {
    return CSVFormat.RFC4180
        .builder()
        .setDelimiter(delimiter)
        .setRecordSeparator('\n')
        .setIgnoreEmptyLines(false)
        .get();
  }

  List<String> header() {
    return header;
  }

  /** The next row, or null after the last one. */
  @Nullable Row next() {
    Row row = read();
    while (row != null && isBlank(row) && header.size() > 1) {
      row = read();
    }
    if (row == null) {
      return null;
    }
    if (row.fields().size() != header.size()) {
      throw at(
          row.line(),
          String.format(
              "has %d field%s, the header has %d%s",
              row.fields().size(),
              row.fields().size() == 1 ? "" : "s",
              header.size(),
              header.size() == 1 ? "; see --delimiter" : ""));
    }
    number++;
    return new Row(row.line(), number, row.fields());
  }

  private static boolean isBlank(Row row) {
    return row.fields().size() == 1 && row.fields().get(0).isEmpty();
  }

  private @Nullable Row read() {
    long line = parser.getCurrentLineNumber() + 1;
    try {
      return records.hasNext() ? new Row(line, 0, records.next().toList()) : null;
    } catch (UncheckedIOException e) {
      if (e.getCause() instanceof CharacterCodingException) {
        throw at(line, "or one soon after it is not UTF-8");
      }
      if (e.getCause() instanceof CSVException) {
        throw at(line, "is not CSV: a quote is missing or left open");
      }
      throw e;
    }
  }

  private void requireDistinctNames() {
    Set<String> seen = new HashSet<>();
    for (String name : header) {
      if (name.isEmpty()) {
        throw new InputException(file + " has a column without a name");
      }
      if (!seen.add(name)) {
        throw new InputException(file + " names two columns " + name);
      }
    }
  }

  InputException at(long line, String problem) {
    return new InputException(file + " line " + line + " " + problem);
  }

  @Override
  public void close() throws IOException {
    parser.close();
  }
}
