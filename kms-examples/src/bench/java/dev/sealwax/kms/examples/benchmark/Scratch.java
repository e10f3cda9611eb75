package dev.sealwax.kms.examples.benchmark;

import dev.sealwax.kms.Kms;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A temporary directory with a root key, and the Sealwax opened on it; both end with {@link
 * #close}.
 */
final class Scratch implements AutoCloseable {
  private @Nullable Path directory;
  private @Nullable Kms kms;

  /** Opens Sealwax with keysets in memory, once. */
  Kms open() throws IOException {
    Path fresh = Files.createTempDirectory("sealwax-benchmark");
    directory = fresh;
    Kms opened = Sealwax.inMemory(fresh);
    kms = opened;
    return opened;
  }

  @Override
  public void close() throws IOException {
    if (kms != null) {
      kms.close();
    }
    if (directory != null) {
      delete(directory);
    }
  }

  /** Deletes a directory and all that is in it. */
  static void delete(Path directory) throws IOException {
    List<Path> paths;
    try (Stream<Path> found = Files.walk(directory)) {
      paths = found.sorted(Comparator.reverseOrder()).toList();
    }
    for (Path path : paths) {
      Files.delete(path);
    }
  }
}
