package dev.sealwax.kms.examples.benchmark;

import dev.sealwax.kms.Kms;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/**
 * The table of {@link MessageSpeed} with two more libraries; only in the Maven profile {@code
 * bench-peers}, because they bring about a hundred jars.
 */
public final class PeerTable {
  private PeerTable() {}

  /** Runs from the command line; takes a scale, as {@link PerformanceTable} does. */
  public static void main(String[] arguments) throws Exception {
    PerformanceTable.run(List.of(arguments), Map.of("peers", PeerTable::table), System.out);
  }

  private static String table(ChildJvm jvm) throws Exception {
    Figures figures = jvm.repeat(Child.class);
    return MessageSpeed.table(
        figures,
        List.of(
            "raw",
            "Tink KmsEnvelopeAead",
            "AWS Encryption SDK",
            "AWS Encryption SDK, caching",
            "Asherah",
            "Sealwax"));
  }

  /** The JVM that measures. */
  static final class Child {
    private Child() {}

    public static void main(String[] arguments) throws Exception {
      Scale scale = Scale.valueOf(arguments[0]);
      try (Kms kms = Sealwax.inMemory(Path.of(arguments[1]));
          AsherahColumn asherah = new AsherahColumn()) {
        MessageSpeed.measure(
            scale,
            List.of(
                RawColumn.create("raw"),
                TinkColumn.envelope(),
                EncryptionSdkColumn.perMessage(),
                EncryptionSdkColumn.caching(),
                asherah,
                Sealwax.column(kms)));
      }
    }
  }
}
