package dev.sealwax.kms.examples.tink;

import com.google.crypto.tink.Aead;
import com.google.crypto.tink.aead.AeadParameters;
import com.google.crypto.tink.aead.KmsEnvelopeAead;
import com.google.crypto.tink.aead.PredefinedAeadParameters;
import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.envelope.EnvelopeInfo;
import dev.sealwax.kms.examples.AtomicFile;
import dev.sealwax.kms.examples.InputException;
import dev.sealwax.kms.examples.ProgressBar;
import dev.sealwax.kms.examples.Terminal;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.store.FileKeysetStore;
import dev.sealwax.kms.tink.SealwaxAead;
import dev.sealwax.kms.tink.TinkEnvelopes;
import dev.sealwax.kms.vocabulary.KmsException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.util.Arrays;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Moves ciphertexts of Tink's {@code KmsEnvelopeAead} from the key that they are under to a keyset,
 * by their headers alone; opens them by Tink and by Sealwax; rotates, and moves them again without
 * the old key.
 *
 * <p>Makes 200 of them, or takes yours: a folder, the old key as a keyset in Tink's JSON, and the
 * associated data if it is not the name of each file. Their data keys are AES-GCM. The folder is
 * only read; what comes out is in a directory that the output names.
 */
public final class MoveFromTink {
  private static final AeadParameters DATA_KEYS = PredefinedAeadParameters.AES256_GCM;
  private static final String KEYSET = "from-tink";
  private static final int SAMPLE_FILES = 200;

  /** What is done with one file. */
  private interface Work {
    void of(Path file) throws IOException, GeneralSecurityException;
  }

  private final Path moved;
  private final @Nullable String associatedData;
  private final Terminal terminal;

  private MoveFromTink(Path moved, @Nullable String associatedData, Terminal terminal) {
    this.moved = moved;
    this.associatedData = associatedData;
    this.terminal = terminal;
  }

  public static void main(String[] args) throws Exception {
    Terminal terminal = Terminal.ofProcess();
    boolean done = false;
    try {
      done = run(Files.createTempDirectory("sealwax-tink"), List.of(args), terminal);
    } catch (InputException e) {
      terminal.warn("error: %s", e.getMessage());
    }
    if (!done) {
      System.exit(1);
    }
  }

  /** Whether everything moved and opened, and nothing did that should not. */
  static boolean run(Path directory, List<String> arguments, Terminal terminal)
      throws IOException, GeneralSecurityException {
    Path folder = directory.resolve("old");
    Path kekFile = directory.resolve("old-kek.json");
    if (arguments.isEmpty()) {
      TinkSample.writeCiphertexts(folder, SAMPLE_FILES, TinkSample.writeKek(kekFile));
    } else if (arguments.size() == 2 || arguments.size() == 3) {
      folder = Path.of(arguments.get(0));
      kekFile = Path.of(arguments.get(1));
    } else {
      throw new InputException(
          "takes no arguments, or a folder of ciphertexts, the key that they are under as a"
              + " keyset in Tink's JSON, and their associated data if it is not the file's name");
    }
    MoveFromTink move =
        new MoveFromTink(
            directory.resolve("moved"), arguments.size() == 3 ? arguments.get(2) : null, terminal);
    char[] passphrase = passphrase(terminal, /* ofSample= */ arguments.isEmpty());
    try (Kms kms =
        Kms.builder()
            .rootKey(LocalRootKey.create(directory.resolve("root.key"), passphrase))
            .store(FileKeysetStore.at(directory.resolve("keysets")))
            .build()) {
      kms.keysets().create(KEYSET, KeysetTemplate.defaults());
      return move.all(kms, folder, kek(kekFile));
    }
  }

  private static char[] passphrase(Terminal terminal, boolean ofSample) {
    String given = terminal.passphrase();
    if (given == null && !ofSample) {
      terminal.warn(
          "WARNING: the new root key has a passphrase that everybody knows, so the results");
      terminal.warn("         protect nothing. Set SEALWAX_PASSPHRASE (15 characters or more).");
    }
    return (given != null ? given : "correct horse battery staple").toCharArray();
  }

  private static Aead kek(Path file) throws IOException {
    try {
      return TinkSample.readKek(file);
    } catch (GeneralSecurityException e) {
      throw new InputException(file + " is no keyset in Tink's JSON: " + e.getMessage());
    }
  }

  private boolean all(Kms kms, Path folder, Aead oldKek)
      throws IOException, GeneralSecurityException {
    EnvelopeCipher cipher = kms.envelopeCipher(KEYSET);
    TinkEnvelopes withoutOldKek = TinkEnvelopes.of(DATA_KEYS, cipher);
    TinkEnvelopes moving = withoutOldKek.withOldKek(oldKek);
    Aead oldTink = KmsEnvelopeAead.create(DATA_KEYS, oldKek);
    Aead newTink = KmsEnvelopeAead.create(DATA_KEYS, SealwaxAead.of(cipher));
    List<Path> old = files(folder);
    terminal.say("found      %,d ciphertexts in %s", old.size(), folder);

    Files.createDirectories(moved);
    int rehomed =
        each("re-homed", old, file -> write(file, moving.rehome(Files.readAllBytes(file))));
    List<Path> now = files(moved);
    int samePayload =
        each(
            "payloads", now, file -> requireEqual(payload(old(folder, file)), payload(read(file))));
    terminal.say("re-homed   %,d; payload bytes identical in %,d", rehomed, samePayload);
    int again = each("again", now, file -> requireEqual(read(file), moving.rehome(read(file))));
    terminal.say("again      %,d are in place, and left unchanged", again);
    int opened =
        each(
            "opened",
            now,
            file -> {
              byte[] message = oldTink.decrypt(old(folder, file), data(file));
              requireEqual(message, newTink.decrypt(read(file), data(file)));
              requireEqual(message, withoutOldKek.decrypt(read(file), data(file)));
            });
    terminal.say("opened     %,d to the same message, by Tink and by TinkEnvelopes", opened);

    kms.keysets().rotate(KEYSET);
    int rewrapped = each("rewrapped", now, file -> write(file, withoutOldKek.rewrap(read(file))));
    terminal.say("rewrapped  %,d, now under key versions %s", rewrapped, versions(now));
    kms.keysets().disable(KEYSET, 1);
    int last = each("opened", now, file -> newTink.decrypt(read(file), data(file)));
    terminal.say("version 1  disabled, the old key unused: %,d open by plain Tink", last);

    boolean refused = now.isEmpty() || refused(withoutOldKek, now.get(0), folder);
    terminal.say("results    in %s; the keys are beside it", moved);
    boolean complete =
        List.of(rehomed, samePayload, again, opened, rewrapped, last).stream()
            .allMatch(count -> count == old.size());
    return complete && refused;
  }

  /** Does it with each file, and says which of them it could not do it with. */
  private int each(String label, List<Path> files, Work work) throws IOException {
    int done = 0;
    try (ProgressBar bar = terminal.progress(label, files.size())) {
      for (Path file : files) {
        try {
          work.of(file);
          done++;
        } catch (KmsException | GeneralSecurityException e) {
          terminal.say("  failed   %s: %s", file.getFileName(), e.getMessage());
        }
        bar.advance(1);
      }
    }
    return done;
  }

  private boolean refused(TinkEnvelopes envelopes, Path file, Path folder) throws IOException {
    byte[] ciphertext = read(file);
    byte[] header = ciphertext.clone();
    header[payloadPosition(header) - 1] ^= 1;
    byte[] payload = ciphertext.clone();
    payload[payload.length - 1] ^= 1;
    byte[] otherData = "another".getBytes(StandardCharsets.UTF_8);
    return refuses(envelopes, "a bit of the header", header, data(file))
        && refuses(envelopes, "a bit of the payload", payload, data(file))
        && refuses(envelopes, "other associated data", ciphertext, otherData)
        && refuses(envelopes, "an old one, without key", old(folder, file), data(file));
  }

  private boolean refuses(TinkEnvelopes envelopes, String what, byte[] ciphertext, byte[] data) {
    try {
      envelopes.decrypt(ciphertext, data);
    } catch (GeneralSecurityException e) {
      Throwable cause = e.getCause() == null ? e : e.getCause();
      terminal.say("  refused  %-24s %s", what, cause.getClass().getSimpleName());
      return true;
    }
    terminal.say("  OPENED   %s", what);
    return false;
  }

  private void write(Path file, byte[] ciphertext) throws IOException {
    AtomicFile.write(moved.resolve(file.getFileName()), ciphertext);
  }

  private byte[] data(Path file) {
    String text = associatedData == null ? file.getFileName().toString() : associatedData;
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static List<Path> files(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.filter(Files::isRegularFile).sorted().toList();
    }
  }

  private static byte[] read(Path file) throws IOException {
    return Files.readAllBytes(file);
  }

  private static byte[] old(Path folder, Path file) throws IOException {
    return Files.readAllBytes(folder.resolve(file.getFileName()));
  }

  /** Tink's layout: four bytes of length, the encrypted data key of that length, the payload. */
  private static int payloadPosition(byte[] ciphertext) {
    return Integer.BYTES + ByteBuffer.wrap(ciphertext).getInt();
  }

  private static byte[] payload(byte[] ciphertext) {
    return Arrays.copyOfRange(ciphertext, payloadPosition(ciphertext), ciphertext.length);
  }

  private static void requireEqual(byte[] expected, byte[] actual) throws GeneralSecurityException {
    if (!Arrays.equals(expected, actual)) {
      throw new GeneralSecurityException("bytes differ");
    }
  }

  /** Needs no key: which data still needs an old version can be asked of the data. */
  private static SortedMap<Integer, Integer> versions(List<Path> files) throws IOException {
    SortedMap<Integer, Integer> count = new TreeMap<>();
    for (Path file : files) {
      int version = TinkEnvelopes.inspect(read(file)).map(EnvelopeInfo::keyVersion).orElse(0);
      count.merge(version, 1, Integer::sum);
    }
    return count;
  }
}
