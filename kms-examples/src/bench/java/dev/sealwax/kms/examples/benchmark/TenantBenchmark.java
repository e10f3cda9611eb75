package dev.sealwax.kms.examples.benchmark;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Messages under many keys in turn: Sealwax with a keyset for each, Tink with an {@code Aead} or a
 * {@code KmsEnvelopeAead} for each, raw with a {@code Cipher} for each.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 2)
@Fork(3)
public class TenantBenchmark {
  @Param({"raw", "Tink Aead", "Tink KmsEnvelopeAead", "Sealwax"})
  String library = "";

  @Param({"1", "64"})
  int keys;

  @Param({"64", "1024"})
  int sizeBytes;

  private final Scratch scratch = new Scratch();
  private Interleave.Operation encrypting = () -> new byte[0];
  private Interleave.Operation decrypting = () -> new byte[0];

  /** Creates the keys and seals one message under each. */
  @Setup(Level.Trial)
  public void open() throws Exception {
    List<Column> columns = new ArrayList<>();
    if (library.equals("Sealwax")) {
      columns.addAll(Sealwax.columns(scratch.open(), keys));
    } else {
      for (int i = 0; i < keys; i++) {
        columns.add(
            switch (library) {
              case "raw" -> RawColumn.create(library);
              case "Tink Aead" -> TinkColumn.plain();
              default -> TinkColumn.envelope();
            });
      }
    }
    encrypting = InTurn.encrypting(columns, sizeBytes);
    decrypting = InTurn.decrypting(columns, sizeBytes);
  }

  /** Closes the library. */
  @TearDown(Level.Trial)
  public void close() throws Exception {
    scratch.close();
  }

  /** Seals under the next key. */
  @Benchmark
  public byte[] encrypt() throws Exception {
    return encrypting.run();
  }

  /** Opens under the next key. */
  @Benchmark
  public byte[] decrypt() throws Exception {
    return decrypting.run();
  }
}
