package dev.sealwax.kms.rootkey;

import dev.sealwax.kms.vocabulary.KeyMaterial;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;

/** Real root keys for tests that are about something else. Stateless. */
public final class TestRootKeys {
  private TestRootKeys() {}

  /** The root key in {@code file}, made if there is none; the sealing key is no secret. */
  public static LocalRootKey openOrCreate(Path file) {
    try (KeyMaterial sealingKey = KeyMaterial.copyOf(new byte[32])) {
      return Files.exists(file)
          ? LocalRootKey.open(file, sealingKey)
          : LocalRootKey.create(file, sealingKey);
    }
  }

  /** A root key that lives as long as its object: its file is deleted at once. */
  public static LocalRootKey inMemory() {
    try {
      Path file = Files.createTempDirectory("sealwax-test").resolve("root.key");
      try (KeyMaterial sealingKey = KeyMaterial.random(new SecureRandom(), 32)) {
        return LocalRootKey.create(file, sealingKey);
      } finally {
        Files.delete(file);
        Files.delete(file.getParent());
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
