package dev.sealwax.kms.examples;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.store.FileKeysetStore;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.KeyUnavailableException;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The drill for the day a key must be stopped: processes decrypt as fast as they can, an operator
 * disables the version, and the clock runs until the last of them refuses. Argument: the number of
 * rounds.
 */
public final class RevocationDrill {
  private static final int READERS = 3;
  private static final String KEYSET = "orders";
  private static final EncryptionContext ROW = EncryptionContext.of("row", "42");

  private RevocationDrill() {}

  public static void main(String[] args) throws IOException {
    if (args.length == 2) {
      read(Path.of(args[0]), Path.of(args[1]), System.out);
      return;
    }
    int rounds = args.length == 0 ? 30 : Integer.parseInt(args[0]);
    run(Files.createTempDirectory("sealwax-drill"), rounds, System.out);
  }

  static void run(Path directory, int rounds, PrintStream out) throws IOException {
    LocalRootKey.create(directory.resolve("root.key"), sealingKey()).close();
    List<Process> processes = new ArrayList<>();
    try (Kms operator = open(directory)) {
      operator.keysets().create(KEYSET, KeysetTemplate.defaults());
      Path envelope = directory.resolve("envelope");
      Files.write(envelope, operator.envelopeCipher(KEYSET).encrypt(new byte[64], ROW));
      List<BufferedReader> readers = new ArrayList<>();
      for (int i = 0; i < READERS; i++) {
        Process process =
            AnotherJvm.start(
                RevocationDrill.class, List.of(directory.toString(), envelope.toString()));
        processes.add(process);
        readers.add(process.inputReader());
      }
      report(drill(operator, readers, rounds), out);
    } finally {
      processes.forEach(Process::destroy);
    }
  }

  /** For each round, how long the slowest process went on. */
  private static List<Duration> drill(Kms operator, List<BufferedReader> readers, int rounds)
      throws IOException {
    List<Duration> times = new ArrayList<>();
    for (int i = 0; i < rounds; i++) {
      for (BufferedReader reader : readers) {
        expect(reader, "opens");
      }
      operator.keysets().disable(KEYSET, 1);
      Instant revoked = Instant.now();
      Duration slowest = Duration.ZERO;
      for (BufferedReader reader : readers) {
        Instant last = Instant.parse(expect(reader, "refused since"));
        Duration time = Duration.between(revoked, last);
        slowest = time.compareTo(slowest) > 0 ? time : slowest;
      }
      times.add(slowest);
      operator.keysets().enable(KEYSET, 1);
    }
    return times;
  }

  private static String expect(BufferedReader reader, String start) throws IOException {
    String line = reader.readLine();
    if (line == null || !line.startsWith(start)) {
      throw new IllegalStateException("a reader said: " + line);
    }
    return line.substring(start.length()).strip();
  }

  private static void report(List<Duration> times, PrintStream out) {
    Duration[] sorted = times.stream().sorted().toArray(Duration[]::new);
    out.printf("processes that decrypt all the time  %d%n", READERS);
    out.printf("times the version was disabled       %d%n", sorted.length);
    out.printf("until the last process refused       median %,d ms%n", millis(sorted, 0.5));
    out.printf("                                     99 %%    %,d ms%n", millis(sorted, 0.99));
    boolean soon = Arrays.stream(sorted).allMatch(t -> t.compareTo(Duration.ofSeconds(1)) < 0);
    out.println(soon ? "always within a second" : "NOT always within a second");
  }

  private static long millis(Duration[] sorted, double share) {
    return sorted[(int) Math.ceil(sorted.length * share) - 1].toMillis();
  }

  /** One of the processes: decrypts without pause and says when that begins and ends to work. */
  private static void read(Path directory, Path envelope, PrintStream out) throws IOException {
    byte[] sealed = Files.readAllBytes(envelope);
    try (Kms kms = open(directory)) {
      EnvelopeCipher orders = kms.envelopeCipher(KEYSET);
      Instant last = Instant.EPOCH;
      boolean opens = false;
      ProcessHandle operator = ProcessHandle.current().parent().orElseThrow();
      while (operator.isAlive()) {
        try {
          orders.decrypt(sealed, ROW);
          last = Instant.now();
          if (!opens) {
            opens = true;
            out.println("opens");
          }
        } catch (KeyUnavailableException e) {
          if (opens) {
            opens = false;
            out.println("refused since " + last.truncatedTo(ChronoUnit.MICROS));
          }
        }
      }
    }
  }

  private static Kms open(Path directory) {
    return Kms.builder()
        .rootKey(LocalRootKey.open(directory.resolve("root.key"), sealingKey()))
        .store(FileKeysetStore.at(directory.resolve("keysets")))
        .build();
  }

  /** In earnest these bytes come from a secret manager. */
  private static KeyMaterial sealingKey() {
    return KeyMaterial.copyOf(new byte[32]);
  }
}
