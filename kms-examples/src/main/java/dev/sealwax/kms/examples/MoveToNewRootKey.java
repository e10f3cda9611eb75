package dev.sealwax.kms.examples;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.keyset.Keyset;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.rootkey.RoutingRootKey;
import dev.sealwax.kms.store.FileKeysetStore;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;

/**
 * Moves keysets from one root key to another, for instance from a file to an HSM: the key versions
 * are wrapped anew, the data stays where and as it is. Between the first and the last step old and
 * new root key serve side by side, so that processes can be moved one by one.
 */
public final class MoveToNewRootKey {
  private static final List<String> KEYSETS = List.of("orders", "customers", "invoices");
  private static final EncryptionContext CONTEXT = EncryptionContext.of("table", "demo");

  private static final char[] PASSPHRASE = "correct horse battery staple".toCharArray();

  private final Path directory;
  private final Supplier<? extends RootKey> newRootKey;
  private final PrintStream out;

  private MoveToNewRootKey(
      Path directory, Supplier<? extends RootKey> newRootKey, PrintStream out) {
    this.directory = directory;
    this.newRootKey = newRootKey;
    this.out = out;
  }

  public static void main(String[] args) throws IOException {
    run(Files.createTempDirectory("sealwax-move"), System.out);
  }

  static void run(Path directory, PrintStream out) {
    Path file = directory.resolve("new.key");
    LocalRootKey.create(file, PASSPHRASE).close();
    run(directory, () -> LocalRootKey.open(file, PASSPHRASE), out);
  }

  /** Moves keysets from a new root key in a file to another one, which is opened twice. */
  public static void run(Path directory, Supplier<? extends RootKey> newRootKey, PrintStream out) {
    MoveToNewRootKey move = new MoveToNewRootKey(directory, newRootKey, out);
    LocalRootKey.create(move.file("old.key"), PASSPHRASE).close();
    List<byte[]> envelopes = move.encryptUnderOld();
    move.moveKeysets();
    move.openWithNewAlone(envelopes);
  }

  private Path file(String name) {
    return directory.resolve(name);
  }

  private RootKey openOld() {
    return LocalRootKey.open(file("old.key"), PASSPHRASE);
  }

  private Kms kms(RootKey rootKey) {
    return Kms.builder().rootKey(rootKey).store(FileKeysetStore.at(file("keysets"))).build();
  }

  private List<byte[]> encryptUnderOld() {
    List<byte[]> envelopes = new ArrayList<>();
    try (Kms kms = kms(openOld())) {
      for (String name : KEYSETS) {
        kms.keysets().create(name, KeysetTemplate.defaults());
        EnvelopeCipher cipher = kms.envelopeCipher(name);
        envelopes.add(cipher.encrypt("before".getBytes(StandardCharsets.UTF_8), CONTEXT));
        kms.keysets().rotate(name);
        envelopes.add(cipher.encrypt("after".getBytes(StandardCharsets.UTF_8), CONTEXT));
      }
    }
    out.printf("old root key    %d envelopes in %d keysets%n", envelopes.size(), KEYSETS.size());
    return envelopes;
  }

  private void moveKeysets() {
    // The new one wraps, both unwrap: what every process runs with until all keysets have moved.
    RootKey both = RoutingRootKey.of(newRootKey.get(), openOld());
    try (Kms kms = kms(both)) {
      for (String name : KEYSETS) {
        Keyset moved = kms.keysets().moveToRootKey(name, both);
        long there =
            moved.versions().stream()
                .flatMap(version -> version.rootKeyId().stream())
                .filter(both.currentKeyId()::equals)
                .count();
        out.printf(
            "moved           %-10s %d of %d versions%n", name, there, moved.versions().size());
      }
      out.printf(
          "root key calls  %d unwrap, %d wrap; no envelope was touched%n",
          kms.statistics().rootUnwraps(), kms.statistics().rootWraps());
    }
  }

  private void openWithNewAlone(List<byte[]> envelopes) {
    int opened = 0;
    try (Kms kms = kms(newRootKey.get())) {
      for (int i = 0; i < envelopes.size(); i++) {
        EnvelopeCipher cipher = kms.envelopeCipher(KEYSETS.get(i / 2));
        String plaintext =
            new String(cipher.decrypt(envelopes.get(i), CONTEXT), StandardCharsets.UTF_8);
        if (plaintext.equals(i % 2 == 0 ? "before" : "after")) {
          opened++;
        }
      }
    }
    out.printf("new root key    %d of %d old envelopes open%n", opened, envelopes.size());
  }
}
