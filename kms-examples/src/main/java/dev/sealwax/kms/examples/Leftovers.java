package dev.sealwax.kms.examples;

import dev.sealwax.kms.rewrap.DirectoryEnvelopeSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** What a run that was killed has left in the directory of sealed files. */
final class Leftovers {
  private Leftovers() {}

  /**
   * Deletes unfinished files and has torn headers put back. To be called before anything in the
   * directory is written.
   *
   * @return how many files were deleted
   */
  static int cleanUp(Path sealed) throws IOException {
    if (!Files.isDirectory(sealed)) {
      return 0;
    }
    List<Path> unfinished;
    try (Stream<Path> files = Files.walk(sealed)) {
      unfinished =
          files.filter(file -> file.getFileName().toString().endsWith(AtomicFile.SUFFIX)).toList();
    }
    for (Path file : unfinished) {
      Files.delete(file);
    }
    List<Path> folders;
    try (Stream<Path> files = Files.list(sealed)) {
      folders = files.filter(Files::isDirectory).toList();
    }
    for (Path folder : folders) {
      DirectoryEnvelopeSource.of(folder).close(); // opening mends
    }
    return unfinished.size();
  }
}
