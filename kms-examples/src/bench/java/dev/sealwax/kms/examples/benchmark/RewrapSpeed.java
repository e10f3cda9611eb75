package dev.sealwax.kms.examples.benchmark;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.envelope.SplitEnvelope;
import dev.sealwax.kms.keyset.KeysetTemplate;
import java.nio.file.Path;
import java.util.List;

/**
 * Moving an envelope to a new key version: by its header alone, or in place, whatever the length of
 * the payload, and as a new array.
 */
final class RewrapSpeed {
  private static final int SMALL = 1 << 10;
  private static final int LARGE = 1 << 20;

  private static final List<String> COLUMNS =
      List.of(
          "header of 1 KiB",
          "header of 1 MiB",
          "in place of 1 KiB",
          "in place of 1 MiB",
          "all of 1 KiB",
          "all of 1 MiB");

  private RewrapSpeed() {}

  static String table(ChildJvm jvm) throws Exception {
    Figures figures = jvm.repeat(RewrapSpeed.class);
    StringBuilder out = new StringBuilder("| rewrap | us |\n|---|---|\n");
    for (String column : COLUMNS) {
      out.append(Figures.format("| %s | %.2f |\n", column, figures.of(column)));
    }
    return out.toString();
  }

  public static void main(String[] arguments) throws Exception {
    Scale scale = Scale.valueOf(arguments[0]);
    try (Kms kms = Sealwax.inMemory(Path.of(arguments[1]))) {
      kms.keysets().create(Sealwax.KEYSET, KeysetTemplate.defaults());
      EnvelopeCipher cipher = kms.envelopeCipher(Sealwax.KEYSET);
      byte[] small = cipher.encrypt(new byte[SMALL], Column.CONTEXT);
      byte[] large = cipher.encrypt(new byte[LARGE], Column.CONTEXT);
      byte[] smallHeader = SplitEnvelope.of(small).header();
      byte[] largeHeader = SplitEnvelope.of(large).header();
      kms.keysets().rotate(Sealwax.KEYSET);

      Interleave instrument =
          Interleave.of(
              List.of(
                  () -> cipher.rewrapHeader(smallHeader),
                  () -> cipher.rewrapHeader(largeHeader),
                  new InPlace(cipher, small),
                  new InPlace(cipher, large),
                  () -> cipher.rewrap(small),
                  () -> cipher.rewrap(large)));
      instrument.run(scale.cell());
      Interleave.Turns turns = instrument.run(scale.cell());
      for (int i = 0; i < COLUMNS.size(); i++) {
        Figures.report(COLUMNS.get(i), turns.micros(i));
      }
    }
  }
}
