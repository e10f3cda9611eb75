package dev.sealwax.kms.examples.benchmark;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.envelope.SplitEnvelope;
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

/** Moving an envelope to a new key version, by length of its payload. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 2)
@Fork(3)
public class RewrapBenchmark {
  @Param({"1024", "1048576"})
  int sizeBytes;

  private final Scratch scratch = new Scratch();
  private Interleave.Operation rewrapping = () -> new byte[0];
  private Interleave.Operation rewrappingHeader = () -> new byte[0];

  /** Seals a message, then rotates. */
  @Setup(Level.Trial)
  public void open() throws Exception {
    Kms kms = scratch.open();
    byte[] sealed = Sealwax.column(kms).encrypt(new byte[sizeBytes]);
    byte[] header = SplitEnvelope.of(sealed).header();
    kms.keysets().rotate(Sealwax.KEYSET);
    EnvelopeCipher cipher = kms.envelopeCipher(Sealwax.KEYSET);
    rewrapping = () -> cipher.rewrap(sealed);
    rewrappingHeader = () -> cipher.rewrapHeader(header);
  }

  /** Closes the library. */
  @TearDown(Level.Trial)
  public void close() throws Exception {
    scratch.close();
  }

  /** Rewraps the whole envelope, which copies its payload. */
  @Benchmark
  public byte[] rewrap() throws Exception {
    return rewrapping.run();
  }

  /** Rewraps a header kept apart from its payload. */
  @Benchmark
  public byte[] rewrapHeader() throws Exception {
    return rewrappingHeader.run();
  }
}
