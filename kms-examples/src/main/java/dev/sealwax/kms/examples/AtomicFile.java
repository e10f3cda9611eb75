package dev.sealwax.kms.examples;

import java.io.Closeable;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Objects;

/**
 * A new file, readable by its owner only, that takes its name when {@link #commit} has forced it to
 * the disk: whatever happens before, the old file stays. Closing it without a commit throws the new
 * one away.
 */
public final class AtomicFile implements Closeable {
  static final String SUFFIX = ".unfinished";

  private final Path target;
  private final Path unfinished;
  private final FileChannel channel;

  private AtomicFile(Path target, Path unfinished, FileChannel channel) {
    this.target = target;
    this.unfinished = unfinished;
    this.channel = channel;
  }

  static AtomicFile create(Path target) throws IOException {
    Path directory = Objects.requireNonNull(target.toAbsolutePath().getParent(), "directory");
    Files.createDirectories(directory);
    Path unfinished = Files.createTempFile(directory, ".", SUFFIX);
    return new AtomicFile(
        target, unfinished, FileChannel.open(unfinished, StandardOpenOption.WRITE));
  }

  /** Writes a whole file. */
  public static void write(Path target, byte[] content) throws IOException {
    try (AtomicFile file = create(target)) {
      file.out().write(content);
      file.commit();
    }
  }

  /** A stream into the file, without a buffer. */
  OutputStream out() {
    return Channels.newOutputStream(channel);
  }

  void commit() throws IOException {
    channel.force(true);
    channel.close();
    Files.move(unfinished, target, StandardCopyOption.ATOMIC_MOVE);
    syncDirectoryOf(target);
  }

  /** Forces the names in a file's directory to the disk. */
  static void syncDirectoryOf(Path file) throws IOException {
    Path directory = Objects.requireNonNull(file.toAbsolutePath().getParent(), "directory");
    try (FileChannel names = FileChannel.open(directory, StandardOpenOption.READ)) {
      names.force(true);
    }
  }

  @Override
  public void close() throws IOException {
    channel.close();
    Files.deleteIfExists(unfinished);
  }
}
