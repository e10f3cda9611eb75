package dev.sealwax.kms.examples.benchmark;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.keyset.KeysetTemplate;
import java.nio.file.Path;
import java.util.List;

/** From asking for a JVM to its first sealed message of 1 KiB, the keys being in files already. */
final class StartUp {
  private static final byte[] MESSAGE = new byte[1024];

  private StartUp() {}

  static String table(ChildJvm jvm) throws Exception {
    StringBuilder out =
        new StringBuilder("| start of the JVM to first sealed message | ms |\n|---|---|\n");
    jvm.repeat(1, StartUp.class, "prepare");
    for (String column :
        List.of("nothing", "raw", "Tink Aead", "Tink KmsEnvelopeAead", "Sealwax")) {
      Figures figures = jvm.repeat(jvm.scale().repetitions(), StartUp.class, column);
      out.append(Figures.format("| %s | %.0f |\n", column, figures.of("millis")));
    }
    return out.toString();
  }

  public static void main(String[] arguments) throws Exception {
    Path directory = Path.of(arguments[1]).resolve("start");
    switch (arguments[2]) {
      case "prepare" -> prepare(directory);
      case "nothing" -> {}
      case "raw" -> RawColumn.create("raw").encrypt(MESSAGE);
      case "Tink Aead" -> TinkColumn.plain(tinkKeyset(directory)).encrypt(MESSAGE);
      case "Tink KmsEnvelopeAead" -> TinkColumn.envelope(tinkKeyset(directory)).encrypt(MESSAGE);
      default -> {
        // Closed by the end of the process: closing is no part of a start.
        Kms kms = Sealwax.onFiles(directory);
        kms.envelopeCipher(Sealwax.KEYSET).encrypt(MESSAGE, Column.CONTEXT);
      }
    }
    Figures.report("millis", (double) ChildJvm.millisSinceStart());
  }

  private static void prepare(Path directory) throws Exception {
    try (Kms kms = Sealwax.onFiles(directory)) {
      kms.keysets().create(Sealwax.KEYSET, KeysetTemplate.defaults());
      TinkColumn.plain(tinkKeyset(directory)).encrypt(MESSAGE);
    }
  }

  private static Path tinkKeyset(Path directory) {
    return directory.resolve("tink.json");
  }
}
