package dev.sealwax.kms.examples.benchmark;

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
 * One message under one key, by library and size; {@code -t 2} for two threads, {@code -prof gc}
 * for allocation. Forks scatter by ten percent and more below a microsecond: {@link MessageSpeed}
 * decides closer questions.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 2)
@Fork(3)
public class MessageBenchmark {
  @Param({"raw", "Cipher.getInstance", "Tink Aead", "Tink KmsEnvelopeAead", "Sealwax"})
  String library = "";

  @Param({"64", "1024", "16384"})
  int sizeBytes;

  private final Scratch scratch = new Scratch();
  private Column column = new TextbookColumn();
  private byte[] plaintext = {};
  private byte[] sealed = {};

  /** Opens the library and seals one message. */
  @Setup(Level.Trial)
  public void open() throws Exception {
    column =
        switch (library) {
          case "raw" -> RawColumn.create("raw");
          case "Cipher.getInstance" -> new TextbookColumn();
          case "Tink Aead" -> TinkColumn.plain();
          case "Tink KmsEnvelopeAead" -> TinkColumn.envelope();
          default -> Sealwax.column(scratch.open());
        };
    plaintext = new byte[sizeBytes];
    sealed = column.encrypt(plaintext);
  }

  /** Closes it. */
  @TearDown(Level.Trial)
  public void close() throws Exception {
    scratch.close();
  }

  /** Seals. */
  @Benchmark
  public byte[] encrypt() throws Exception {
    return column.encrypt(plaintext);
  }

  /** Opens. */
  @Benchmark
  public byte[] decrypt() throws Exception {
    return column.decrypt(sealed);
  }
}
