package dev.sealwax.kms.rewrap;

import java.io.IOException;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** A checkpoint in memory that can fail. */
final class MemoryCheckpoint implements RewrapCheckpoint {
  @Nullable String text;
  int saves;
  int failingFrom = Integer.MAX_VALUE;

  @Override
  public Optional<String> load() {
    return Optional.ofNullable(text);
  }

  @Override
  public void save(String next) throws IOException {
    saves++;
    if (saves >= failingFrom) {
      throw new IOException("No space left on device");
    }
    text = next;
  }
}
