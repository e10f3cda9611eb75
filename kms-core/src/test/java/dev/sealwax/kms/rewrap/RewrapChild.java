package dev.sealwax.kms.rewrap;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.rootkey.TestRootKeys;
import dev.sealwax.kms.store.FileKeysetStore;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.postgresql.ds.PGSimpleDataSource;

/** A process that rewraps, to be killed. */
final class RewrapChild {
  static final int BATCH = 20;
  static final String STARTS = "starts";
  private static final String KEYSET = "orders";

  private RewrapChild() {}

  /** {@code KEY-DIRECTORY (table URL | files DIRECTORY) (rewrap | reencrypt)}. */
  public static void main(String[] args) throws IOException {
    Path home = Path.of(args[0]);
    try (Kms kms = kms(home);
        EnvelopeSource source = source(args[1], args[2])) {
      Rewrapper.Builder job =
          kms.rewrapper(KEYSET)
              .source(source)
              .checkpoint(CheckpointFile.at(home.resolve("checkpoint")))
              .batchSize(BATCH)
              .workers(2)
              .patience(Duration.ZERO);
      if (args[3].equals("reencrypt")) {
        job.reencryptCompromised((from, record) -> EncryptionContext.of("id", record.id()));
      }
      Rewrapper rewrapper = job.build();
      System.out.println(STARTS);
      RewrapReport report = rewrapper.run();
      if (report.counts().failed() > 0) {
        throw new IllegalStateException(report.describe());
      }
    }
  }

  /** Root key and keysets in files of {@code home}, made if they are missing. */
  static Kms kms(Path home) {
    return Kms.builder()
        .rootKey(TestRootKeys.openOrCreate(home.resolve("root.key")))
        .store(FileKeysetStore.at(home.resolve("keysets")))
        .build();
  }

  private static EnvelopeSource source(String kind, String place) throws IOException {
    if (kind.equals("files")) {
      return DirectoryEnvelopeSource.of(
          Path.of(place), file -> file.getFileName().toString().endsWith(".swx"));
    }
    PGSimpleDataSource database = new PGSimpleDataSource();
    database.setUrl(place);
    return JdbcEnvelopeSource.of(database, "orders", "card");
  }

  static Process start(String... args) throws IOException {
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xshare:auto",
                "-XX:TieredStopAtLevel=1",
                "-XX:+UseSerialGC",
                "-Xmx128m",
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                "-cp",
                System.getProperty("java.class.path"),
                RewrapChild.class.getName()));
    command.addAll(List.of(args));
    return new ProcessBuilder(command).redirectErrorStream(true).start();
  }
}
