package dev.sealwax.kms.envelope;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** However long a message is, its streams and channels need room for some chunks of it. */
final class ConstantMemoryTest {
  private static final EncryptionContext ROW = EncryptionContext.of("row", "42");
  private static final int MIB = 1024 * 1024;
  private static final long SHORT = 16 * MIB;
  private static final long LONG = 256 * MIB;

  /** Many chunks; what is kept of a message is of its size, and noise of the JVM is not. */
  private static final long MOST_LIVE_BYTES = MIB;

  /** The JCE leaves some 900 behind for each chunk of 16 KiB; a copy of the chunk would be more. */
  private static final long MOST_GARBAGE_BYTES_PER_CHUNK = 4 * 1024;

  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  @TempDir private static Path directory;

  private final EnvelopeRig rig = EnvelopeRig.create();

  @AfterEach
  void close() {
    rig.close();
  }

  /** Counts what passes, and looks at the heap near the start and near the end. */
  private static final class Gauge {
    private final long first;
    private final long last;
    private long passed;
    private long liveAtFirst;
    private long liveAtLast;

    Gauge(long length) {
      this.first = length / 16;
      this.last = length / 16 * 15;
    }

    void pass(long bytes) {
      long before = passed;
      passed += bytes;
      if (before < first && passed >= first) {
        liveAtFirst = live();
      }
      if (before < last && passed >= last) {
        liveAtLast = live();
      }
    }

    /** How much longer the live part of the heap has become; 0 if not at all. */
    long growth() {
      assertTrue(liveAtFirst > 0 && liveAtLast > 0, "never looked");
      return Math.max(0, liveAtLast - liveAtFirst);
    }

    private static long live() {
      long least = Long.MAX_VALUE;
      for (int i = 0; i < 3; i++) {
        System.gc();
        least =
            Math.min(least, Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory());
      }
      return least;
    }
  }

  /** As many zeros as told. */
  private static final class Zeros extends InputStream {
    private final Gauge gauge;
    private long left;

    Zeros(long length, Gauge gauge) {
      this.left = length;
      this.gauge = gauge;
    }

    @Override
    public int read() {
      return read(new byte[1], 0, 1) < 0 ? -1 : 0;
    }

    @Override
    public int read(byte[] out, int offset, int length) {
      if (left == 0) {
        return -1;
      }
      int part = (int) Math.min(left, length);
      Arrays.fill(out, offset, offset + part, (byte) 0);
      left -= part;
      gauge.pass(part);
      return part;
    }
  }

  /** Keeps nothing. */
  private static final class Drain extends OutputStream {
    private final Gauge gauge;

    Drain(Gauge gauge) {
      this.gauge = gauge;
    }

    @Override
    public void write(int b) {
      gauge.pass(1);
    }

    @Override
    public void write(byte[] bytes, int offset, int length) {
      gauge.pass(length);
    }
  }

  private enum Way {
    ENCRYPTING_STREAM {
      @Override
      void run(EnvelopeCipher cipher, Path envelope, long length, Gauge gauge) throws IOException {
        byte[] part = new byte[8 * 1024];
        try (OutputStream out = cipher.encryptingStream(new Drain(gauge), ROW)) {
          for (long left = length; left > 0; left -= part.length) {
            out.write(part);
          }
        }
      }
    },
    ENCRYPTING_BODY_STREAM {
      @Override
      void run(EnvelopeCipher cipher, Path envelope, long length, Gauge gauge) throws IOException {
        byte[] part = new byte[8 * 1024];
        try (OutputStream out = cipher.encryptingBodyStream(new Drain(gauge), ROW)) {
          for (long left = length; left > 0; left -= part.length) {
            out.write(part);
          }
        }
      }
    },
    ENCRYPTING_STREAM_THAT_IS_PULLED {
      @Override
      void run(EnvelopeCipher cipher, Path envelope, long length, Gauge gauge) throws IOException {
        try (InputStream in = cipher.encryptingStream(new Zeros(length, gauge), ROW)) {
          in.transferTo(OutputStream.nullOutputStream());
        }
      }
    },
    ENCRYPT {
      @Override
      void run(EnvelopeCipher cipher, Path envelope, long length, Gauge gauge) throws IOException {
        cipher.encrypt(new Zeros(length, gauge), OutputStream.nullOutputStream(), ROW);
      }
    },
    DECRYPTING_STREAM {
      @Override
      void run(EnvelopeCipher cipher, Path envelope, long length, Gauge gauge) throws IOException {
        try (InputStream in = cipher.decryptingStream(Files.newInputStream(envelope), ROW)) {
          in.transferTo(new Drain(gauge));
        }
      }
    },
    DECRYPT {
      @Override
      void run(EnvelopeCipher cipher, Path envelope, long length, Gauge gauge) throws IOException {
        try (InputStream in = Files.newInputStream(envelope)) {
          cipher.decrypt(in, new Drain(gauge), ROW);
        }
      }
    },
    DECRYPTING_CHANNEL {
      @Override
      void run(EnvelopeCipher cipher, Path envelope, long length, Gauge gauge) throws IOException {
        try (SeekableByteChannel in = cipher.decryptingChannel(FileChannel.open(envelope), ROW)) {
          drain(in, gauge);
        }
      }
    },
    DECRYPTING_CHANNEL_IN_ONE_PASS {
      @Override
      void run(EnvelopeCipher cipher, Path envelope, long length, Gauge gauge) throws IOException {
        ReadableByteChannel source = FileChannel.open(envelope);
        try (ReadableByteChannel in = cipher.decryptingChannel(source, ROW)) {
          drain(in, gauge);
        }
      }
    },
    REENCRYPT {
      @Override
      void run(EnvelopeCipher cipher, Path envelope, long length, Gauge gauge) throws IOException {
        try (InputStream in = Files.newInputStream(envelope)) {
          cipher.reencrypt(in, new Drain(gauge), ROW);
        }
      }
    };

    abstract void run(EnvelopeCipher cipher, Path envelope, long length, Gauge gauge)
        throws IOException;

    private static void drain(ReadableByteChannel in, Gauge gauge) throws IOException {
      ByteBuffer part = ByteBuffer.allocate(10_000);
      for (int n = in.read(part); n >= 0; n = in.read(part)) {
        gauge.pass(n);
        part.clear();
      }
    }
  }

  private Path envelope(long length) throws IOException {
    Path envelope = Files.createTempFile(directory, "zeros", ".envelope");
    try (OutputStream out = Files.newOutputStream(envelope)) {
      rig.cipher().encrypt(new Zeros(length, new Gauge(Long.MAX_VALUE)), out, ROW);
    }
    return envelope;
  }

  @ParameterizedTest
  @EnumSource(Way.class)
  void memory_doesNotDependOnTheLength(Way way) throws IOException {
    long forShort = allocated(way, SHORT);
    long forLong = allocated(way, LONG);
    long chunks = (LONG - SHORT) / (16 * 1024);
    assertTrue(
        forLong - forShort <= chunks * MOST_GARBAGE_BYTES_PER_CHUNK,
        () -> forShort + " bytes for the short one, " + forLong + " for the long one");
  }

  private long allocated(Way way, long length) throws IOException {
    boolean reads = way.compareTo(Way.DECRYPTING_STREAM) >= 0;
    Path envelope = reads ? envelope(length) : directory;
    Gauge gauge = new Gauge(length);
    long me = Thread.currentThread().getId();
    long before = THREADS.getThreadAllocatedBytes(me);
    way.run(rig.cipher(), envelope, length, gauge);
    long allocated = THREADS.getThreadAllocatedBytes(me) - before;
    assertTrue(gauge.passed >= length, () -> gauge.passed + " bytes passed");
    assertTrue(gauge.growth() <= MOST_LIVE_BYTES, () -> gauge.growth() + " bytes kept");
    if (reads) {
      Files.delete(envelope);
    }
    return allocated;
  }
}
