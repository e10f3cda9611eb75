package dev.sealwax.kms.rewrap;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Objects;
import java.util.Optional;

/**
 * A checkpoint in a file that only its owner may read. It stays when the job is complete, because
 * the next scan needs it to say what is safe to destroy; delete it to forget a job.
 */
public final class CheckpointFile implements RewrapCheckpoint {
  private final Path file;

  private CheckpointFile(Path file) {
    this.file = file;
  }

  /** The checkpoint of that path, whose directory must exist; the file is made by the first run. */
  public static CheckpointFile at(Path file) {
    return new CheckpointFile(Objects.requireNonNull(file, "file").toAbsolutePath());
  }

  @Override
  public Optional<String> load() throws IOException {
    try (InputStream in = Files.newInputStream(file)) {
      byte[] bytes = in.readNBytes(RewrapStateText.MAX_CHARS + 1);
      return Optional.of(new String(bytes, StandardCharsets.ISO_8859_1));
    } catch (NoSuchFileException e) {
      return Optional.empty();
    }
  }

  @Override
  public void save(String text) throws IOException {
    DurableFiles.replace(
        file, Objects.requireNonNull(text, "text").getBytes(StandardCharsets.US_ASCII));
  }

  @Override
  public String toString() {
    return file.toString();
  }
}
