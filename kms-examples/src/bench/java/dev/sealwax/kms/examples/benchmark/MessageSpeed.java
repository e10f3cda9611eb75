package dev.sealwax.kms.examples.benchmark;

import dev.sealwax.kms.Kms;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Encrypt and decrypt of small messages with one cached key, against raw JCE and Tink, interleaved
 * in one JVM.
 */
final class MessageSpeed {
  private static final int[] SIZES = {64, 1024, 16 * 1024};

  private MessageSpeed() {}

  static String table(ChildJvm jvm) throws Exception {
    Figures figures = jvm.repeat(MessageSpeed.class);
    return table(
        figures, List.of("raw", "raw again", "Tink Aead", "Tink KmsEnvelopeAead", "Sealwax"));
  }

  static String table(Figures figures, List<String> columns) {
    StringBuilder out = new StringBuilder("| speed relative to raw (us) |");
    for (String operation : List.of("encrypt", "decrypt")) {
      for (int size : SIZES) {
        out.append(' ').append(operation).append(' ').append(size).append(" B |");
      }
    }
    out.append("\n|---|").append("---|".repeat(2 * SIZES.length)).append('\n');
    for (String column : columns) {
      out.append("| ").append(column).append(" |");
      for (String operation : List.of("encrypt", "decrypt")) {
        for (int size : SIZES) {
          String cell = operation + size + column;
          out.append(' ').append(figures.ofWithRange(cell + " speed"));
          out.append(Figures.format(", %.2f us |", figures.of(cell + " micros")));
        }
      }
      out.append('\n');
    }
    return out.toString();
  }

  public static void main(String[] arguments) throws Exception {
    Scale scale = Scale.valueOf(arguments[0]);
    try (Kms kms = Sealwax.inMemory(Path.of(arguments[1]))) {
      measure(
          scale,
          List.of(
              RawColumn.create("raw"),
              // The control: whatever it differs from 1.00 is the error of the instrument.
              RawColumn.create("raw again"),
              TinkColumn.plain(),
              TinkColumn.envelope(),
              Sealwax.column(kms)));
    }
  }

  /** Measures every size and operation with all {@code columns}, the first being the baseline. */
  static void measure(Scale scale, List<Column> columns) throws Exception {
    for (int size : SIZES) {
      List<Interleave.Operation> encrypting = new ArrayList<>();
      List<Interleave.Operation> decrypting = new ArrayList<>();
      for (Column column : columns) {
        encrypting.add(InTurn.encrypting(List.of(column), size));
        decrypting.add(InTurn.decrypting(List.of(column), size));
      }
      measure(scale, "encrypt" + size, columns, encrypting);
      measure(scale, "decrypt" + size, columns, decrypting);
    }
  }

  private static void measure(
      Scale scale, String cell, List<Column> columns, List<Interleave.Operation> operations)
      throws Exception {
    Interleave instrument = Interleave.of(operations);
    instrument.run(scale.cell());
    Interleave.Turns turns = instrument.run(scale.cell());
    for (int i = 0; i < columns.size(); i++) {
      Figures.report(cell + columns.get(i).name() + " speed", turns.speed(i, 0));
      Figures.report(cell + columns.get(i).name() + " micros", turns.micros(i));
    }
  }
}
