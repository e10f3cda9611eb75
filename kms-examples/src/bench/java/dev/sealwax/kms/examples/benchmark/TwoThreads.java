package dev.sealwax.kms.examples.benchmark;

import dev.sealwax.kms.Kms;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * Messages per second of two threads against one, by the clock on the wall; raw JCE beside it shows
 * what the two processors of this machine can give at all.
 */
final class TwoThreads {
  private static final int MESSAGE_BYTES = 1024;

  private TwoThreads() {}

  static String table(ChildJvm jvm) throws Exception {
    Figures figures = jvm.repeat(TwoThreads.class);
    StringBuilder out =
        new StringBuilder("| 1 KiB, 2 threads : 1 | encrypt | decrypt |\n|---|---|---|\n");
    for (String column : List.of("raw", "Tink Aead", "Tink KmsEnvelopeAead", "Sealwax")) {
      out.append(
          Figures.format(
              "| %s | %s | %s |\n",
              column,
              figures.ofWithRange("encrypt " + column),
              figures.ofWithRange("decrypt " + column)));
    }
    return out.toString();
  }

  public static void main(String[] arguments) throws Exception {
    Scale scale = Scale.valueOf(arguments[0]);
    Duration round = scale.cell().dividedBy(10);
    ExecutorService threads = Executors.newFixedThreadPool(2);
    try (Kms kms = Sealwax.inMemory(Path.of(arguments[1]))) {
      for (Column column :
          List.of(
              RawColumn.create("raw"),
              TinkColumn.plain(),
              TinkColumn.envelope(),
              Sealwax.column(kms))) {
        List<Interleave.Operation> encrypting = new ArrayList<>();
        List<Interleave.Operation> decrypting = new ArrayList<>();
        for (int thread = 0; thread < 2; thread++) {
          encrypting.add(InTurn.encrypting(List.of(column), MESSAGE_BYTES));
          decrypting.add(InTurn.decrypting(List.of(column), MESSAGE_BYTES));
        }
        Figures.report("encrypt " + column.name(), ratio(threads, encrypting, scale, round));
        Figures.report("decrypt " + column.name(), ratio(threads, decrypting, scale, round));
      }
    } finally {
      threads.shutdown();
    }
  }

  private static double ratio(
      ExecutorService threads, List<Interleave.Operation> pair, Scale scale, Duration round)
      throws Exception {
    rate(threads, pair, scale.cell());
    double[] ratios = new double[scale.repetitions()];
    for (int i = 0; i < ratios.length; i++) {
      double one = rate(threads, pair.subList(0, 1), round);
      ratios[i] = rate(threads, pair, round) / one;
    }
    return Figures.median(ratios);
  }

  /** Messages per second of all {@code operations} together, each in a thread of its own. */
  private static double rate(
      ExecutorService threads, List<Interleave.Operation> operations, Duration duration)
      throws Exception {
    CountDownLatch together = new CountDownLatch(operations.size());
    List<Future<Double>> rates = new ArrayList<>();
    for (Interleave.Operation operation : operations) {
      rates.add(
          threads.submit(
              () -> {
                together.countDown();
                together.await();
                return rate(operation, duration);
              }));
    }
    double sum = 0;
    for (Future<Double> rate : rates) {
      sum += rate.get();
    }
    return sum;
  }

  private static double rate(Interleave.Operation operation, Duration duration) throws Exception {
    long start = System.nanoTime();
    long messages = 0;
    long elapsed;
    do {
      for (int i = 0; i < 100; i++) {
        operation.run();
      }
      messages += 100;
      elapsed = System.nanoTime() - start;
    } while (elapsed < duration.toNanos());
    return messages * 1e9 / elapsed;
  }
}
