package dev.sealwax.kms.store;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.Base64;
import java.util.List;

/**
 * A process that rotates keysets, each as often as it is told, and tells of every version that it
 * has added.
 */
final class RotatingChild {
  static final String DONE = "done";

  /** Patient, because a busy machine is not what is tested. */
  private static final Duration PATIENCE = Duration.ofSeconds(60);

  private static final String WRAPPED = "\"wrapped\":\"";

  private RotatingChild() {}

  /**
   * A version that a process has added to a keyset.
   *
   * @param wrapped its key as it stands in the document
   * @param sealed the number of the version in base64, encrypted right after that
   */
  record Rotation(int version, String wrapped, String sealed) {
    static Rotation parse(String line) {
      String[] fields = line.split(" ");
      return new Rotation(Integer.parseInt(fields[0]), fields[1], fields[2]);
    }

    @Override
    public String toString() {
      return version + " " + wrapped + " " + sealed;
    }
  }

  /** {@code DIRECTORY KEYSET-DIRECTORY COUNT}; then the name of a keyset per line. */
  public static void main(String[] args) throws Exception {
    WriteRecorder store = new WriteRecorder(open(Path.of(args[1])));
    int count = Integer.parseInt(args[2]);
    try (Kms kms = FleetChild.open(Path.of(args[0]), store, Clock.systemUTC())) {
      BufferedReader names =
          new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
      for (String name; (name = names.readLine()) != null; ) {
        long before = store.conflicts();
        for (int i = 0; i < count; i++) {
          kms.keysets().rotate(name);
          System.out.println(rotation(kms, name, store.takeWritten().orElseThrow()));
        }
        System.out.println(DONE + " " + (store.conflicts() - before));
      }
    }
  }

  static FileKeysetStore open(Path keysets) {
    return FileKeysetStore.at(keysets, PATIENCE);
  }

  private static Rotation rotation(Kms kms, String name, StoredKeyset written) {
    int version = (int) written.revision(); // each revision adds one
    byte[] message = Integer.toString(version).getBytes(StandardCharsets.US_ASCII);
    byte[] sealed = kms.envelopeCipher(name).encrypt(message, EncryptionContext.empty());
    List<String> wrapped = wrapped(written);
    return new Rotation(
        version, wrapped.get(version - 1), Base64.getEncoder().encodeToString(sealed));
  }

  /** The wrapped keys in a document, those of version 1 first. */
  static List<String> wrapped(StoredKeyset keyset) {
    return List.of(keyset.document().split(WRAPPED)).stream()
        .skip(1)
        .map(rest -> rest.substring(0, rest.indexOf('"')))
        .toList();
  }

  static Process start(Path directory, Path keysets, int count) throws IOException {
    return new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-Xshare:auto",
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
            "-Xmx256m",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-cp",
            System.getProperty("java.class.path"),
            RotatingChild.class.getName(),
            directory.toString(),
            keysets.toString(),
            Integer.toString(count))
        .redirectError(ProcessBuilder.Redirect.INHERIT)
        .start();
  }
}
