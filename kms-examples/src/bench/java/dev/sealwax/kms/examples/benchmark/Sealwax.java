package dev.sealwax.kms.examples.benchmark;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.store.FileKeysetStore;
import dev.sealwax.kms.store.InMemoryKeysetStore;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Opens Sealwax for the measurements, with its defaults throughout. */
final class Sealwax {
  static final String KEYSET = "orders";

  private Sealwax() {}

  /**
   * A local root key in a file of {@code directory}, sealed by key bytes of the host; made if
   * missing.
   */
  static RootKey rootKey(Path directory) throws IOException {
    Files.createDirectories(directory);
    Path file = directory.resolve("root.key");
    // A benchmark may do what an application must not: use a sealing key that everybody knows.
    try (KeyMaterial sealingKey = KeyMaterial.owning(new byte[32])) {
      return Files.exists(file)
          ? LocalRootKey.open(file, sealingKey)
          : LocalRootKey.create(file, sealingKey);
    }
  }

  /** Root key and keysets in files of {@code directory}; a later JVM finds the keys again. */
  static Kms onFiles(Path directory) throws IOException {
    return Kms.builder()
        .rootKey(rootKey(directory))
        .store(FileKeysetStore.at(directory.resolve("keysets")))
        .build();
  }

  /** Keysets in memory, under the root key in {@code directory}. */
  static Kms inMemory(Path directory) throws IOException {
    return Kms.builder().rootKey(rootKey(directory)).store(InMemoryKeysetStore.create()).build();
  }

  /** Creates {@code count} keysets and a column for each. */
  static List<SealwaxColumn> columns(Kms kms, int count) {
    List<SealwaxColumn> columns = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      // Names of one length, that of KEYSET, so that every envelope has the same size.
      columns.add(column(kms, Figures.format("t%05d", i)));
    }
    return columns;
  }

  /** Creates the keyset {@value #KEYSET} and a column for it. */
  static SealwaxColumn column(Kms kms) {
    return column(kms, KEYSET);
  }

  private static SealwaxColumn column(Kms kms, String keyset) {
    kms.keysets().create(keyset, KeysetTemplate.defaults());
    return new SealwaxColumn("Sealwax", kms.envelopeCipher(keyset));
  }
}
