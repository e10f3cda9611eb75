package dev.sealwax.kms.examples.benchmark;

import com.sun.management.ThreadMXBean;
import dev.sealwax.kms.Kms;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.List;

/** Bytes of garbage per message, the result array included, once the compiler has settled. */
final class Allocation {
  private static final int MESSAGE_BYTES = 1024;
  private static final int MESSAGES = 10_000;

  private Allocation() {}

  static String table(ChildJvm jvm) throws Exception {
    Figures figures = jvm.repeat(Allocation.class);
    StringBuilder out =
        new StringBuilder(
                "| bytes allocated per 1 KiB message | encrypt | decrypt | length of the result"
                    + " |\n")
            .append("|---|---|---|---|\n");
    for (String column : List.of("raw", "Tink Aead", "Tink KmsEnvelopeAead", "Sealwax")) {
      out.append(
          Figures.format(
              "| %s | %.0f | %.0f | %.0f |\n",
              column,
              figures.of("encrypt " + column),
              figures.of("decrypt " + column),
              figures.of("length " + column)));
    }
    return out.toString();
  }

  public static void main(String[] arguments) throws Exception {
    Scale scale = Scale.valueOf(arguments[0]);
    try (Kms kms = Sealwax.inMemory(Path.of(arguments[1]))) {
      for (Column column :
          List.of(
              RawColumn.create("raw"),
              TinkColumn.plain(),
              TinkColumn.envelope(),
              Sealwax.column(kms))) {
        List<Column> one = List.of(column);
        InTurn encrypting = InTurn.encrypting(one, MESSAGE_BYTES);
        Figures.report("encrypt " + column.name(), perMessage(scale, encrypting));
        Figures.report(
            "decrypt " + column.name(), perMessage(scale, InTurn.decrypting(one, MESSAGE_BYTES)));
        Figures.report("length " + column.name(), encrypting.run().length);
      }
    }
  }

  private static double perMessage(Scale scale, Interleave.Operation operation) throws Exception {
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    Interleave.of(List.of(operation)).run(scale.cell());
    double[] rounds = new double[scale.repetitions()];
    for (int round = 0; round < rounds.length; round++) {
      long before = threads.getThreadAllocatedBytes(Thread.currentThread().getId());
      for (int i = 0; i < MESSAGES; i++) {
        operation.run();
      }
      long after = threads.getThreadAllocatedBytes(Thread.currentThread().getId());
      rounds[round] = (double) (after - before) / MESSAGES;
    }
    return Figures.median(rounds);
  }
}
