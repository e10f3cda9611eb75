package dev.sealwax.kms.examples;

import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.envelope.EnvelopeInfo;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

/**
 * Moves envelope files to the primary key version by writing over their headers, crash-safe: the
 * old header lies beside the file until the new one is on the disk, and {@link #recover} puts it
 * back if that did not come about.
 */
final class InPlaceRewrap {
  private static final String OLD_HEADER = ".old-header";

  private InPlaceRewrap() {}

  static void rewrap(EnvelopeCipher cipher, Path file) throws IOException {
    Path oldHeader = file.resolveSibling(file.getFileName() + OLD_HEADER);
    AtomicFile.write(oldHeader, header(file));
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      cipher.rewrap(channel);
      channel.force(true);
    }
    Files.delete(oldHeader);
    AtomicFile.syncDirectoryOf(oldHeader);
  }

  /** The header of an envelope file. */
  static byte[] header(Path file) throws IOException {
    try (InputStream in = Files.newInputStream(file)) {
      byte[] start = in.readNBytes(EnvelopeInfo.MAX_HEADER_BYTES);
      return Arrays.copyOf(start, EnvelopeInfo.inspect(start).headerLengthBytes());
    }
  }

  /**
   * Cleans up after a run that was killed: puts old headers back and deletes unfinished files. To
   * be called before anything in the directory is written.
   *
   * @return how many files it mended or deleted
   */
  static int recover(Path directory) throws IOException {
    if (!Files.isDirectory(directory)) {
      return 0;
    }
    List<Path> leftovers;
    try (Stream<Path> files = Files.walk(directory)) {
      leftovers = files.filter(InPlaceRewrap::isLeftover).toList();
    }
    for (Path leftover : leftovers) {
      String name = leftover.getFileName().toString();
      if (name.endsWith(OLD_HEADER)) {
        String file = name.substring(0, name.length() - OLD_HEADER.length());
        restore(leftover, leftover.resolveSibling(file));
      }
      Files.delete(leftover);
    }
    return leftovers.size();
  }

  private static boolean isLeftover(Path file) {
    String name = file.getFileName().toString();
    return name.endsWith(OLD_HEADER) || name.endsWith(AtomicFile.SUFFIX);
  }

  private static void restore(Path oldHeader, Path file) throws IOException {
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
      ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(oldHeader));
      while (bytes.hasRemaining()) {
        channel.write(bytes, bytes.position());
      }
      channel.force(true);
    }
  }
}
