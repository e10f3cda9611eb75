package dev.sealwax.kms.examples;

import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What {@link ProtectFiles} is told on its command line.
 *
 * @param inputs files and folders; empty for the sample
 * @param columns the columns to encrypt; empty for all but the key
 * @param key the column that names a row, or null for the first one
 * @param byRowNumber whether rows are named by their number instead
 */
record Options(
    List<Path> inputs,
    List<String> columns,
    @Nullable String key,
    boolean byRowNumber,
    char delimiter,
    Path workDirectory,
    boolean help) {
  static final String USAGE =
      """
      Encrypts columns of a CSV and files of a folder, rotates the keys, moves all envelopes to the
      new key version by their headers alone, and proves what opens and what does not.
      Inputs are only read; everything is written to the work directory.

      usage: ProtectFiles [options] [CSV file, other file or folder]...

        --columns a,b     columns to encrypt (default: all but the key)
        --key COLUMN      column that names a row, unique (default: the first)
        --row-numbers     name rows by their number; they must then stay in order
        --delimiter C     between fields: one character, or "tab" (default: comma)
        --work DIR        for keys and results (default: sealwax-demo)
        --help

      Without input it runs on a sample of invented data. SEALWAX_PASSPHRASE is the passphrase of
      the root key, 15 characters or more.
      Exit code: 0 done; 1 failed, or something was left out; 2 wrong arguments or input.\
      """;

  static Options parse(String... arguments) {
    Deque<String> rest = new ArrayDeque<>(List.of(arguments));
    List<Path> inputs = new ArrayList<>();
    List<String> columns = List.of();
    String key = null;
    boolean byRowNumber = false;
    char delimiter = ',';
    Path work = Path.of("sealwax-demo");
    while (!rest.isEmpty()) {
      String argument = rest.remove();
      switch (argument) {
        case "--columns" -> columns = columns(value(argument, rest));
        case "--key" -> key = value(argument, rest);
        case "--row-numbers" -> byRowNumber = true;
        case "--delimiter" -> delimiter = delimiter(value(argument, rest));
        case "--work" -> work = path(value(argument, rest));
        case "--help", "-h" -> {
          return new Options(List.of(), List.of(), null, false, ',', work, true);
        }
        default -> {
          if (argument.startsWith("-")) {
            throw new InputException("unknown option " + argument + "; --help lists them");
          }
          inputs.add(path(argument));
        }
      }
    }
    if (key != null && byRowNumber) {
      throw new InputException("--key and --row-numbers exclude each other");
    }
    return new Options(
        List.copyOf(inputs), columns, key, byRowNumber, delimiter, work.normalize(), false);
  }

  /** These options with {@code fallback} where no columns were asked for. */
  Options withDefaultColumns(List<String> fallback) {
    return new Options(
        inputs,
        columns.isEmpty() ? fallback : columns,
        key,
        byRowNumber,
        delimiter,
        workDirectory,
        help);
  }

  private static String value(String option, Deque<String> rest) {
    if (rest.isEmpty() || rest.element().startsWith("--")) {
      throw new InputException(option + " needs a value");
    }
    return rest.remove();
  }

  private static List<String> columns(String list) {
    List<String> columns = List.of(list.split(",", -1));
    if (columns.contains("")) {
      throw new InputException("--columns has an empty name: " + list);
    }
    return columns;
  }

  private static char delimiter(String value) {
    if (value.equals("tab")) {
      return '\t';
    }
    if (value.length() != 1 || "\"\r\n".contains(value)) {
      throw new InputException("--delimiter must be one character or \"tab\", got " + value);
    }
    return value.charAt(0);
  }

  private static Path path(String value) {
    try {
      return Path.of(value);
    } catch (InvalidPathException e) {
      throw new InputException("not a path: " + value);
    }
  }
}
