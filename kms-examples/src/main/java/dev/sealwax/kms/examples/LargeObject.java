package dev.sealwax.kms.examples;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.envelope.EnvelopeOutputStream;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.store.FileKeysetStore;
import dev.sealwax.kms.vocabulary.DecryptionFailedException;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/**
 * Streams a large object through one chunk of memory, reads a range out of its middle, and shows
 * that a truncated copy is refused. Takes the size in MiB; 256 if none is given.
 */
public final class LargeObject {
  private static final int MIB = 1 << 20;
  private static final EncryptionContext CONTEXT =
      EncryptionContext.of("bucket", "recordings", "object", "2026/11/24/call.raw");

  private LargeObject() {}

  public static void main(String[] args) throws IOException {
    String size = args.length == 0 ? "256" : args[0];
    if (!size.matches("[1-9][0-9]{0,5}")) {
      System.err.println("error: the size must be 1 to 999999 MiB, got " + size);
      System.exit(2);
    }
    int mebibytes = Integer.parseInt(size);
    Path directory = Files.createTempDirectory("sealwax-large-object");
    try {
      run(directory, mebibytes, System.out);
    } finally {
      Files.deleteIfExists(directory.resolve("object.swx"));
    }
  }

  static void run(Path directory, int mebibytes, PrintStream out) throws IOException {
    char[] passphrase = "correct horse battery staple".toCharArray();
    try (Kms kms =
        Kms.builder()
            .rootKey(LocalRootKey.create(directory.resolve("root.key"), passphrase))
            .store(FileKeysetStore.at(directory.resolve("keysets")))
            .build()) {
      kms.keysets().create("objects", KeysetTemplate.defaults());
      EnvelopeCipher cipher = kms.envelopeCipher("objects");
      Path file = directory.resolve("object.swx");

      long start = System.nanoTime();
      List<Long> liveMebibytes = write(cipher, file, mebibytes);
      out.printf("encrypted   %d MiB, %s%n", mebibytes, speed(mebibytes, start));
      out.printf("memory      live MiB of heap after each quarter: %s%n", liveMebibytes);

      start = System.nanoTime();
      try (InputStream in = Files.newInputStream(file)) {
        cipher.decrypt(in, OutputStream.nullOutputStream(), CONTEXT);
      }
      out.printf("decrypted   %d MiB, %s%n", mebibytes, speed(mebibytes, start));

      readRange(cipher, file, (long) mebibytes * MIB / 2 + 7, out);
      refuseTruncated(cipher, file, out);
    }
  }

  private static List<Long> write(EnvelopeCipher cipher, Path file, int mebibytes)
      throws IOException {
    List<Long> liveMebibytes = new ArrayList<>();
    try (EnvelopeOutputStream out =
        cipher.encryptingStream(
            new BufferedOutputStream(Files.newOutputStream(file), MIB), CONTEXT)) {
      for (int i = 1; i <= mebibytes; i++) {
        out.write(block(i - 1));
        if (i % Math.max(1, mebibytes / 4) == 0) {
          liveMebibytes.add(liveBytes() / MIB);
        }
      }
    }
    return liveMebibytes;
  }

  private static long liveBytes() {
    System.gc();
    Runtime runtime = Runtime.getRuntime();
    return runtime.totalMemory() - runtime.freeMemory();
  }

  /** The same bytes for the same number, so that a range can be checked. */
  private static byte[] block(int number) {
    ByteBuffer block = ByteBuffer.allocate(MIB);
    SplittableRandom random = new SplittableRandom(number);
    while (block.hasRemaining()) {
      block.putLong(random.nextLong());
    }
    return block.array();
  }

  private static void readRange(EnvelopeCipher cipher, Path file, long position, PrintStream out)
      throws IOException {
    ByteBuffer range = ByteBuffer.allocate(16);
    long start = System.nanoTime();
    try (SeekableByteChannel channel =
        cipher.decryptingChannel(Files.newByteChannel(file), CONTEXT)) {
      channel.position(position);
      while (range.hasRemaining() && channel.read(range) >= 0) {
        // a channel may return fewer bytes than asked for
      }
    }
    long micros = (System.nanoTime() - start) / 1000;
    ByteBuffer expected =
        ByteBuffer.wrap(block((int) (position / MIB)), (int) (position % MIB), range.position());
    boolean same = range.flip().equals(expected);
    out.printf(
        "range       16 bytes at %,d in %,d us: %s%n", position, micros, same ? "right" : "WRONG");
  }

  private static void refuseTruncated(EnvelopeCipher cipher, Path file, PrintStream out)
      throws IOException {
    try (SeekableByteChannel channel = Files.newByteChannel(file, StandardOpenOption.WRITE)) {
      channel.truncate(channel.size() - MIB / 2);
    }
    try (InputStream in = Files.newInputStream(file)) {
      cipher.decrypt(in, OutputStream.nullOutputStream(), CONTEXT);
      out.println("truncated   OPENED");
    } catch (DecryptionFailedException e) {
      out.println("truncated   refused: " + e.getMessage());
    }
  }

  private static String speed(int mebibytes, long startNanos) {
    double seconds = (System.nanoTime() - startNanos) / 1e9;
    return String.format("%.0f MiB/s", mebibytes / seconds);
  }
}
