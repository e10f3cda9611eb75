package dev.sealwax.kms.examples.benchmark;

import com.google.crypto.tink.StreamingAead;
import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.keyset.KeysetTemplate;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.security.GeneralSecurityException;
import java.util.Collections;
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
 * A stream of 64 MiB in a warm JVM; {@link FreshJvm} measures the first two seconds. Raw is as many
 * bytes in messages of 16 KiB: the JDK hands out nothing of one GCM message before its end.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 2)
@Fork(3)
public class StreamBenchmark {
  private static final int BUFFER_BYTES = 64 << 10;
  private static final int RAW_BYTES = 16 << 10;

  @Param({"raw", "Tink StreamingAead", "Sealwax"})
  String library = "";

  @Param("64")
  int mebibytes;

  private final Scratch scratch = new Scratch();
  private final byte[] buffer = new byte[BUFFER_BYTES];
  private Interleave.Operation encrypting = () -> new byte[0];
  private Interleave.Operation decrypting = () -> new byte[0];

  /** A library that makes streams. */
  private interface Streams {
    OutputStream sealing(OutputStream sealed) throws IOException, GeneralSecurityException;

    InputStream opening(InputStream sealed) throws IOException, GeneralSecurityException;
  }

  /** Opens the library and seals one stream. */
  @Setup(Level.Trial)
  public void open() throws Exception {
    switch (library) {
      case "raw" -> measureMessages(RawColumn.create(library));
      case "Tink StreamingAead" -> measure(tink());
      default -> measure(sealwax());
    }
  }

  private void measureMessages(Column column) throws Exception {
    int messages = (mebibytes << 20) / RAW_BYTES;
    List<Column> columns = Collections.nCopies(messages, column);
    InTurn sealing = InTurn.encrypting(columns, RAW_BYTES);
    InTurn opening = InTurn.decrypting(columns, RAW_BYTES);
    encrypting = () -> repeat(sealing, messages);
    decrypting = () -> repeat(opening, messages);
  }

  private static byte[] repeat(Interleave.Operation operation, int times) throws Exception {
    byte[] last = operation.run();
    for (int i = 1; i < times; i++) {
      Interleave.sink = last[0];
      last = operation.run();
    }
    return last;
  }

  private static Streams tink() throws Exception {
    StreamingAead tink = TinkColumn.streaming();
    byte[] aad = Column.CONTEXT.toCanonicalBytes();
    return new Streams() {
      @Override
      public OutputStream sealing(OutputStream sealed)
          throws IOException, GeneralSecurityException {
        return tink.newEncryptingStream(sealed, aad);
      }

      @Override
      public InputStream opening(InputStream sealed) throws IOException, GeneralSecurityException {
        return tink.newDecryptingStream(sealed, aad);
      }
    };
  }

  private Streams sealwax() throws Exception {
    Kms kms = scratch.open();
    kms.keysets().create(Sealwax.KEYSET, KeysetTemplate.defaults());
    EnvelopeCipher cipher = kms.envelopeCipher(Sealwax.KEYSET);
    return new Streams() {
      @Override
      public OutputStream sealing(OutputStream sealed) throws IOException {
        return cipher.encryptingStream(sealed, Column.CONTEXT);
      }

      @Override
      public InputStream opening(InputStream sealed) throws IOException {
        return cipher.decryptingStream(sealed, Column.CONTEXT);
      }
    };
  }

  private void measure(Streams streams) throws Exception {
    ByteArrayOutputStream sealed = new ByteArrayOutputStream((mebibytes + 1) << 20);
    seal(streams, sealed);
    byte[] envelope = sealed.toByteArray();
    encrypting = () -> seal(streams, OutputStream.nullOutputStream());
    decrypting = () -> open(streams, envelope);
  }

  private byte[] seal(Streams streams, OutputStream target) throws Exception {
    try (OutputStream out = streams.sealing(target)) {
      for (int done = 0; done < mebibytes << 20; done += BUFFER_BYTES) {
        out.write(buffer);
      }
    }
    return buffer;
  }

  private byte[] open(Streams streams, byte[] envelope) throws Exception {
    try (InputStream in = streams.opening(new ByteArrayInputStream(envelope))) {
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

  /** Seals the stream. */
  @Benchmark
  public byte[] encrypt() throws Exception {
    return encrypting.run();
  }

  /** Opens the stream. */
  @Benchmark
  public byte[] decrypt() throws Exception {
    return decrypting.run();
  }
}
