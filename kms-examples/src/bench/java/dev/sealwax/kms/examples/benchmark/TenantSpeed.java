package dev.sealwax.kms.examples.benchmark;

import dev.sealwax.kms.Kms;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * 64 keysets used in turn, one message each, against one keyset, and against Tink with one {@code
 * Aead} per key.
 */
final class TenantSpeed {
  private static final int TENANTS = 64;
  private static final int[] SIZES = {64, 1024};

  private TenantSpeed() {}

  static String table(ChildJvm jvm) throws Exception {
    Figures figures = jvm.repeat(TenantSpeed.class);
    StringBuilder out =
        new StringBuilder(
                "| 64 keys in turn | Sealwax, of its speed with 1 | Tink, of its speed with 1 |")
            .append(" Sealwax, times Tink with 64 | Sealwax us (1 / 64) | Tink us (1 / 64) |\n")
            .append("|---|---|---|---|---|---|\n");
    for (String operation : List.of("encrypt", "decrypt")) {
      for (int size : SIZES) {
        String cell = operation + size;
        out.append(
            Figures.format(
                "| %s %d B | %s | %s | %s | %.2f / %.2f | %.2f / %.2f |\n",
                operation,
                size,
                figures.ofWithRange(cell + " sealwax kept"),
                figures.ofWithRange(cell + " tink kept"),
                figures.ofWithRange(cell + " sealwax times tink"),
                figures.of(cell + " sealwax1"),
                figures.of(cell + " sealwax64"),
                figures.of(cell + " tink1"),
                figures.of(cell + " tink64")));
      }
    }
    return out.toString();
  }

  public static void main(String[] arguments) throws Exception {
    Scale scale = Scale.valueOf(arguments[0]);
    try (Kms kms = Sealwax.inMemory(Path.of(arguments[1]))) {
      List<SealwaxColumn> sealwax = Sealwax.columns(kms, TENANTS);
      List<TinkColumn> tink = new ArrayList<>();
      for (int i = 0; i < TENANTS; i++) {
        tink.add(TinkColumn.plain());
      }
      List<List<? extends Column>> contenders =
          List.of(sealwax.subList(0, 1), sealwax, tink.subList(0, 1), tink);
      for (int size : SIZES) {
        List<Interleave.Operation> encrypting = new ArrayList<>();
        List<Interleave.Operation> decrypting = new ArrayList<>();
        for (List<? extends Column> columns : contenders) {
          encrypting.add(InTurn.encrypting(columns, size));
          decrypting.add(InTurn.decrypting(columns, size));
        }
        measure(scale, "encrypt" + size, encrypting);
        measure(scale, "decrypt" + size, decrypting);
      }
    }
  }

  private static void measure(Scale scale, String cell, List<Interleave.Operation> operations)
      throws Exception {
    Interleave instrument = Interleave.of(operations);
    instrument.run(scale.cell());
    Interleave.Turns turns = instrument.run(scale.cell());
    Figures.report(cell + " sealwax kept", turns.speed(1, 0));
    Figures.report(cell + " tink kept", turns.speed(3, 2));
    Figures.report(cell + " sealwax times tink", turns.speed(1, 3));
    Figures.report(cell + " sealwax1", turns.micros(0));
    Figures.report(cell + " sealwax64", turns.micros(1));
    Figures.report(cell + " tink1", turns.micros(2));
    Figures.report(cell + " tink64", turns.micros(3));
  }
}
