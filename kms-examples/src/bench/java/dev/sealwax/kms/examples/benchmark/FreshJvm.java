package dev.sealwax.kms.examples.benchmark;

import com.google.crypto.tink.StreamingAead;
import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.keyset.KeysetTemplate;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;

/**
 * Large payloads in a JVM that did nothing before: how soon, and whether within two seconds of its
 * start, it reaches the bytes per second of raw 16 KiB messages in a warm JVM. Rates are bytes per
 * second of CPU time of the working thread; the clock that says when is the wall's, from the moment
 * the parent asked for the JVM.
 */
final class FreshJvm {
  private static final int ENVELOPE_BYTES = 1 << 20;
  private static final int BUFFER_BYTES = 64 << 10;
  private static final int SLOT_MILLIS = 100;
  private static final String IN_TURN = " in turn";
  private static final String WHOLE = " whole";
  private static final String COPY = "copy";
  private static final String MESSAGE = "1 MiB";
  private static final String STREAM = "64 MiB stream";
  private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

  private FreshJvm() {}

  static String table(ChildJvm jvm) throws Exception {
    jvm.repeat(1, FreshJvm.class, "prepare");
    return TouchedMemory.touch(jvm)
        + rows(jvm, "", List.of("raw", "tink", "sealwax"))
        + "\n"
        + rows(jvm.withSmallHeap(), ", small heap", List.of("raw", "sealwax"));
  }

  private static String rows(ChildJvm jvm, String heap, List<String> libraries) throws Exception {
    Figures warm = jvm.repeat(WarmRaw.class);
    StringBuilder out =
        new StringBuilder(
            Figures.format(
                "| fresh JVM%s | MB/s in the last quarter of its first %.1f s | of warm raw | MB"
                    + " done by then | MB/s in steps of %d ms |\n"
                    + "|---|---|---|---|---|\n",
                heap, jvm.scale().freshSlots() * SLOT_MILLIS / 1000.0, SLOT_MILLIS));
    out.append(row(jvm, COPY, "encrypt", MESSAGE, warm.of("encrypt")));
    for (String operation : List.of("encrypt", "decrypt")) {
      double warmRate = warm.of(operation);
      for (String what : List.of("", IN_TURN, WHOLE)) {
        double rate = warm.of(operation + what);
        out.append(
            Figures.format(
                "| %s raw, warm JVM, %s | %.0f | %.2f | | |\n",
                operation,
                what.isEmpty() ? "16 KiB" : what.equals(WHOLE) ? MESSAGE : "64 MiB of 16 KiB",
                rate / 1e6,
                rate / warmRate));
      }
      for (String library : libraries) {
        out.append(row(jvm, library, operation, MESSAGE, warmRate));
        if (!library.equals("raw")) {
          out.append(row(jvm, library, operation, STREAM, warmRate));
        }
      }
    }
    return out.toString();
  }

  private static String row(
      ChildJvm jvm, String library, String operation, String shape, double warmRate)
      throws Exception {
    Figures figures = jvm.repeat(FreshJvm.class, library, operation, shape);
    StringBuilder steps = new StringBuilder();
    for (int slot = 0; slot < jvm.scale().freshSlots(); slot++) {
      double rate = figures.of("slot" + slot) / 1e6;
      if (rate > 0 || !steps.isEmpty()) {
        steps.append(Figures.format(steps.isEmpty() ? "from %2$d: %1$.0f" : ", %.0f", rate, slot));
      }
    }
    double rate = figures.of("last");
    return Figures.format(
        "| %s %s, %s | %.0f | %.2f | %.0f | %s |\n",
        library.equals(COPY) ? COPY : operation,
        shape,
        library.equals(COPY) ? "new array" : library,
        rate / 1e6,
        rate / warmRate,
        figures.of("done") / 1e6,
        steps);
  }

  public static void main(String[] arguments) throws Exception {
    Scale scale = Scale.valueOf(arguments[0]);
    Path directory = Path.of(arguments[1]).resolve("fresh");
    if (arguments[2].equals("prepare")) {
      prepare(directory, scale.streamBytes());
      return;
    }
    boolean encrypt = arguments[3].equals("encrypt");
    Meter meter = new Meter(scale.freshSlots());
    if (arguments[4].equals(MESSAGE)) {
      messages(directory, arguments[2], encrypt, meter);
    } else {
      streams(directory, arguments[2], encrypt, scale.streamBytes(), meter);
    }
    meter.report();
  }

  /** Leaves keys and ciphertexts behind, so that a decrypting JVM need not encrypt first. */
  private static void prepare(Path directory, int streamBytes) throws Exception {
    try (Kms kms = Sealwax.onFiles(directory)) {
      kms.keysets().create(Sealwax.KEYSET, KeysetTemplate.defaults());
      for (String library : List.of("raw", "tink", "sealwax")) {
        byte[] sealed = column(kms, directory, library).encrypt(new byte[ENVELOPE_BYTES]);
        Files.write(directory.resolve(library + ".sealed"), sealed);
      }
      for (String library : List.of("tink", "sealwax")) {
        Path file = directory.resolve(library + ".stream");
        try (OutputStream out = sealing(kms, directory, library, Files.newOutputStream(file))) {
          out.write(new byte[streamBytes]);
        }
      }
    }
  }

  private static void messages(Path directory, String library, boolean encrypt, Meter meter)
      throws Exception {
    try (Kms kms = Sealwax.onFiles(directory)) {
      Column column = column(kms, directory, library);
      byte[] input =
          encrypt
              ? new byte[ENVELOPE_BYTES]
              : Files.readAllBytes(directory.resolve(library + ".sealed"));
      meter.start();
      do {
        byte[] result = encrypt ? column.encrypt(input) : column.decrypt(input);
        Interleave.sink = result[result.length - 1];
        meter.did(ENVELOPE_BYTES);
      } while (!meter.isOver());
    }
  }

  private static void streams(
      Path directory, String library, boolean encrypt, int streamBytes, Meter meter)
      throws Exception {
    byte[] buffer = new byte[BUFFER_BYTES];
    try (Kms kms = Sealwax.onFiles(directory)) {
      ByteBuffer sealed =
          encrypt ? ByteBuffer.allocate(0) : map(directory.resolve(library + ".stream"));
      meter.start();
      do {
        if (encrypt) {
          try (OutputStream out =
              sealing(kms, directory, library, OutputStream.nullOutputStream())) {
            int done = 0;
            do {
              out.write(buffer);
              meter.did(BUFFER_BYTES);
              done += BUFFER_BYTES;
            } while (done < streamBytes && !meter.isOver());
          }
        } else {
          InputStream in =
              opening(kms, directory, library, new ByteBufferInputStream(sealed.duplicate()));
          int read = in.read(buffer);
          while (read > 0) {
            Interleave.sink = buffer[0];
            meter.did(read);
            read = meter.isOver() ? 0 : in.read(buffer);
          }
        }
      } while (!meter.isOver());
    }
  }

  /** Ciphertext that need not be read before, which would take a good part of the two seconds. */
  private static ByteBuffer map(Path file) throws IOException {
    try (FileChannel channel = FileChannel.open(file)) {
      return channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size());
    }
  }

  private static final class ByteBufferInputStream extends InputStream {
    private final ByteBuffer bytes;

    private ByteBufferInputStream(ByteBuffer bytes) {
      this.bytes = bytes;
    }

    @Override
    public int read() {
      return bytes.hasRemaining() ? bytes.get() & 0xff : -1;
    }

    @Override
    public int read(byte[] buffer, int offset, int length) {
      if (!bytes.hasRemaining()) {
        return -1;
      }
      int count = Math.min(length, bytes.remaining());
      bytes.get(buffer, offset, count);
      return count;
    }
  }

  private static Column column(Kms kms, Path directory, String library) throws Exception {
    return switch (library) {
      case "raw" -> RawColumn.of("raw", new byte[32]);
      case "tink" -> TinkColumn.plain(directory.resolve("tink.json"));
      case COPY -> new Copy();
      default -> new SealwaxColumn("sealwax", kms.envelopeCipher(Sealwax.KEYSET));
    };
  }

  private static OutputStream sealing(Kms kms, Path directory, String library, OutputStream out)
      throws Exception {
    if (library.equals("tink")) {
      return tinkStreaming(directory).newEncryptingStream(out, Column.CONTEXT.toCanonicalBytes());
    }
    EnvelopeCipher cipher = kms.envelopeCipher(Sealwax.KEYSET);
    return cipher.encryptingStream(out, Column.CONTEXT);
  }

  private static InputStream opening(Kms kms, Path directory, String library, InputStream in)
      throws Exception {
    if (library.equals("tink")) {
      return tinkStreaming(directory).newDecryptingStream(in, Column.CONTEXT.toCanonicalBytes());
    }
    EnvelopeCipher cipher = kms.envelopeCipher(Sealwax.KEYSET);
    return cipher.decryptingStream(in, Column.CONTEXT);
  }

  private static StreamingAead tinkStreaming(Path directory) throws Exception {
    return TinkColumn.streaming(directory.resolve("tink-streaming.json"));
  }

  /** No cryptography at all: what memory allows. */
  private static final class Copy implements Column {
    @Override
    public String name() {
      return COPY;
    }

    @Override
    public byte[] encrypt(byte[] plaintext) {
      return plaintext.clone();
    }

    @Override
    public byte[] decrypt(byte[] ciphertext) {
      return ciphertext.clone();
    }
  }

  /** Bytes and CPU time of the working thread, in slots of the first seconds of the JVM. */
  private static final class Meter {
    // To ask for the CPU time of a thread costs one to two microseconds, a third of a chunk.
    private static final int STEP_BYTES = 1 << 20;

    private final long[] bytes;
    private final long[] nanos;
    private long cpu;
    private int sinceStep;

    private Meter(int slots) {
      bytes = new long[slots];
      nanos = new long[slots];
    }

    void start() {
      cpu = THREADS.getCurrentThreadCpuTime();
    }

    boolean isOver() {
      return ChildJvm.millisSinceStart() >= (long) bytes.length * SLOT_MILLIS;
    }

    void did(int count) {
      sinceStep += count;
      if (sinceStep < STEP_BYTES) {
        return;
      }
      long now = THREADS.getCurrentThreadCpuTime();
      int slot = (int) (ChildJvm.millisSinceStart() / SLOT_MILLIS);
      if (slot < bytes.length) {
        bytes[slot] += sinceStep;
        nanos[slot] += now - cpu;
      }
      cpu = now;
      sinceStep = 0;
    }

    void report() {
      double done = 0;
      double lastBytes = 0;
      double lastNanos = 0;
      for (int i = 0; i < bytes.length; i++) {
        done += bytes[i];
        Figures.report("slot" + i, nanos[i] == 0 ? 0 : bytes[i] * 1e9 / nanos[i]);
        if (4 * i >= 3 * bytes.length) {
          lastBytes += bytes[i];
          lastNanos += nanos[i];
        }
      }
      Figures.report("done", done);
      Figures.report("last", lastNanos == 0 ? 0 : lastBytes * 1e9 / lastNanos);
    }
  }

  /** What it is compared with: raw messages of 16 KiB in a JVM of their own, warmed up. */
  static final class WarmRaw {
    private static final int MESSAGE_BYTES = 16 << 10;

    private WarmRaw() {}

    public static void main(String[] arguments) throws Exception {
      Scale scale = Scale.valueOf(arguments[0]);
      List<RawColumn> raw = List.of(RawColumn.create("raw"));
      measure(scale, "encrypt", MESSAGE_BYTES, InTurn.encrypting(raw, MESSAGE_BYTES));
      measure(scale, "decrypt", MESSAGE_BYTES, InTurn.decrypting(raw, MESSAGE_BYTES));
      // As many bytes as a stream has, which no cache of the processor holds: what memory allows.
      List<RawColumn> many = Collections.nCopies(scale.streamBytes() / MESSAGE_BYTES, raw.get(0));
      measure(scale, "encrypt" + IN_TURN, MESSAGE_BYTES, InTurn.encrypting(many, MESSAGE_BYTES));
      measure(scale, "decrypt" + IN_TURN, MESSAGE_BYTES, InTurn.decrypting(many, MESSAGE_BYTES));
      // And with a new array of this length for each.
      measure(scale, "encrypt" + WHOLE, ENVELOPE_BYTES, InTurn.encrypting(raw, ENVELOPE_BYTES));
      measure(scale, "decrypt" + WHOLE, ENVELOPE_BYTES, InTurn.decrypting(raw, ENVELOPE_BYTES));
    }

    private static void measure(Scale scale, String name, int bytes, InTurn operation)
        throws Exception {
      Interleave instrument = Interleave.of(List.of(operation));
      instrument.run(scale.cell());
      double[] nanos =
          instrument.run(scale.cell()).nanos().stream().mapToDouble(turn -> turn[0]).toArray();
      Figures.report(name, bytes * 1e9 / Figures.median(nanos));
    }
  }
}
