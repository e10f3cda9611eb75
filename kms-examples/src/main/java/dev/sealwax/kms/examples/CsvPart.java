package dev.sealwax.kms.examples;

import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.OutputStreamWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.apache.commons.csv.CSVPrinter;

/**
 * A CSV whose chosen columns are sealed, value by value, in text form: the result is again a CSV.
 * Each value is bound to its table, column and row, so that it opens in no other place.
 */
final class CsvPart implements Part {
  private static final String TEXT_PREFIX = "swx1.";

  /** What becomes of one value. */
  private interface Change {
    String apply(String value, EncryptionContext context) throws IOException;
  }

  /** What is done with one sealed value. */
  private interface Reader {
    void accept(String value, EncryptionContext context) throws IOException;
  }

  private final EnvelopeCipher cipher;
  private final Path input;
  private final Path output;
  private final char delimiter;
  private final CsvColumns columns;
  private final PartFigures figures = new PartFigures("values");
  private String plaintextDigest = "";

  private CsvPart(
      EnvelopeCipher cipher, Path input, Path output, char delimiter, CsvColumns columns) {
    this.cipher = cipher;
    this.input = input;
    this.output = output;
    this.delimiter = delimiter;
    this.columns = columns;
  }

  static CsvPart of(EnvelopeCipher cipher, Path input, Path output, Options options)
      throws IOException {
    try (CsvRows rows = CsvRows.open(input, options.delimiter())) {
      CsvColumns columns =
          CsvColumns.choose(input.getFileName().toString(), rows.header(), options);
      return new CsvPart(cipher, input, output, options.delimiter(), columns);
    }
  }

  @Override
  public PartFigures figures() {
    return figures;
  }

  @Override
  public EnvelopeCipher cipher() {
    return cipher;
  }

  @Override
  public boolean check(Terminal terminal) throws IOException {
    Set<String> keys = new HashSet<>();
    try (CsvRows rows = CsvRows.open(input, delimiter)) {
      for (CsvRows.Row row = rows.next(); row != null; row = rows.next()) {
        String key = columns.rowKey(row);
        if (key.isEmpty()) {
          throw rows.at(row.line(), "has nothing in the key column; see --key and --row-numbers");
        }
        if (!keys.add(key)) {
          throw rows.at(row.line(), "has the key of an earlier row; see --key and --row-numbers");
        }
        try {
          for (int column : columns.sealed()) {
            columns.context(column, row);
          }
        } catch (IllegalArgumentException e) {
          throw rows.at(row.line(), "has too long a key: " + e.getMessage());
        }
      }
    }
    figures.messages = (long) keys.size() * columns.count();
    terminal.say("  %s: %s; columns %s", input, PartFigures.count(keys.size(), "rows"), columns);
    return true;
  }

  @Override
  public void encrypt(Terminal terminal) throws IOException {
    MessageDigest digest = Digests.sha256();
    Change seal =
        (value, context) -> {
          byte[] plaintext = value.getBytes(StandardCharsets.UTF_8);
          Digests.updateWithLength(digest, plaintext);
          String text = cipher.encryptToText(plaintext, context);
          figures.plaintextBytes += plaintext.length;
          figures.sealedBytes += text.length();
          return text;
        };
    try (ProgressBar bar = terminal.progress("encrypt", figures.messages)) {
      figures.timeEncrypt(() -> write(input, seal, bar));
    }
    plaintextDigest = Digests.hex(digest);
  }

  @Override
  public void open(Terminal terminal) throws IOException {
    MessageDigest digest = Digests.sha256();
    Reader open =
        (text, context) -> Digests.updateWithLength(digest, cipher.decryptText(text, context));
    try (ProgressBar bar = terminal.progress("open", figures.messages)) {
      figures.timeOpen(() -> read(open, bar));
    }
    if (!Digests.hex(digest).equals(plaintextDigest)) {
      throw new IOException(output + " does not open to what was encrypted");
    }
  }

  @Override
  public void rewrap(Terminal terminal) throws IOException {
    try (ProgressBar bar = terminal.progress("rewrap", figures.messages)) {
      figures.timeRewrap(() -> write(output, (text, context) -> cipher.rewrapText(text), bar));
    }
  }

  @Override
  public Payloads payloads(Terminal terminal) throws IOException {
    Payloads payloads = new Payloads();
    try (ProgressBar bar = terminal.progress("compare", figures.messages)) {
      read((text, context) -> payloads.add(decode(text)), bar);
    }
    return payloads;
  }

  @Override
  public Optional<Sample> sample() throws IOException {
    try (CsvRows rows = CsvRows.open(output, delimiter)) {
      CsvRows.Row row = rows.next();
      if (row == null) {
        return Optional.empty();
      }
      int column = columns.sealed().get(0);
      byte[] envelope = decode(row.fields().get(column));
      return Optional.of(new Sample(envelope, columns.context(column, row), "row"));
    }
  }

  private static byte[] decode(String text) {
    return Base64.getUrlDecoder().decode(text.substring(TEXT_PREFIX.length()));
  }

  /** Writes the output anew from {@code source}, with the chosen columns changed. */
  private void write(Path source, Change change, ProgressBar bar) throws IOException {
    try (CsvRows rows = CsvRows.open(source, delimiter);
        AtomicFile file = AtomicFile.create(output);
        CSVPrinter printer =
            new CSVPrinter(
                new BufferedWriter(new OutputStreamWriter(file.out(), StandardCharsets.UTF_8)),
                CsvRows.format(delimiter))) {
      printer.printRecord(rows.header());
      for (CsvRows.Row row = rows.next(); row != null; row = rows.next()) {
        List<String> fields = new ArrayList<>(row.fields());
        for (int column : columns.sealed()) {
          fields.set(column, change.apply(fields.get(column), columns.context(column, row)));
        }
        printer.printRecord(fields);
        bar.advance(columns.count());
      }
      printer.flush();
      file.commit();
    }
  }

  private void read(Reader reader, ProgressBar bar) throws IOException {
    try (CsvRows rows = CsvRows.open(output, delimiter)) {
      for (CsvRows.Row row = rows.next(); row != null; row = rows.next()) {
        for (int column : columns.sealed()) {
          reader.accept(row.fields().get(column), columns.context(column, row));
        }
        bar.advance(columns.count());
      }
    }
  }
}
