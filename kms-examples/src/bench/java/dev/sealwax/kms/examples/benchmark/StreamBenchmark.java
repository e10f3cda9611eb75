package dev.sealwax.kms.examples.benchmark;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.keyset.KeysetTemplate;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** A stream of 64 MiB in a warm JVM; {@link FreshJvm} measures the first two seconds. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 2)
@Fork(3)
public class StreamBenchmark {
  private static final int STREAM_BYTES = 64 << 20;
  private static final int BUFFER_BYTES = 64 << 10;

  private final Scratch scratch = new Scratch();
  private final byte[] buffer = new byte[BUFFER_BYTES];
  private Interleave.Operation encrypting = () -> new byte[0];
  private Interleave.Operation decrypting = () -> new byte[0];

  /** Seals one stream. */
  @Setup(Level.Trial)
  public void open() throws Exception {
    Kms kms = scratch.open();
    kms.keysets().create(Sealwax.KEYSET, KeysetTemplate.defaults());
    EnvelopeCipher cipher = kms.envelopeCipher(Sealwax.KEYSET);
    ByteArrayOutputStream sealed = new ByteArrayOutputStream(STREAM_BYTES + (1 << 20));
    seal(cipher, sealed);
    byte[] envelope = sealed.toByteArray();
    encrypting = () -> seal(cipher, OutputStream.nullOutputStream());
    decrypting = () -> open(cipher, envelope);
  }

  private byte[] seal(EnvelopeCipher cipher, OutputStream target) throws IOException {
    try (OutputStream out = cipher.encryptingStream(target, Column.CONTEXT)) {
      for (int done = 0; done < STREAM_BYTES; done += BUFFER_BYTES) {
        out.write(buffer);
      }
    }
    return buffer;
  }

  private byte[] open(EnvelopeCipher cipher, byte[] envelope) throws IOException {
    try (InputStream in =
        cipher.decryptingStream(new ByteArrayInputStream(envelope), Column.CONTEXT)) {
      int read = 0;
      while (read >= 0) {
        read = in.read(buffer);
      }
    }
    return buffer;
  }

  /** Closes the library. */
  @TearDown(Level.Trial)
  public void close() throws Exception {
    scratch.close();
  }

  /** Seals 64 MiB. */
  @Benchmark
  public byte[] encrypt() throws Exception {
    return encrypting.run();
  }

  /** Opens 64 MiB. */
  @Benchmark
  public byte[] decrypt() throws Exception {
    return decrypting.run();
  }
}
