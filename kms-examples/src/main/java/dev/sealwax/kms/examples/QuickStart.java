package dev.sealwax.kms.examples;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.envelope.EnvelopeInfo;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.store.FileKeysetStore;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** The first lines anybody writes; the README shows them word for word. */
public final class QuickStart {
  private QuickStart() {}

  public static void main(String[] args) throws IOException {
    Path directory = Files.createTempDirectory("sealwax-quick-start");
    run(directory, System.out);
    System.out.println("keys are in " + directory);
  }

  static void run(Path directory, PrintStream out) {
    char[] passphrase = "correct horse battery staple".toCharArray();
    byte[] plaintext = "4 lamps, blue".getBytes(StandardCharsets.UTF_8);
    Path rootKeyFile = directory.resolve("root.key");
    Path keysetDirectory = directory.resolve("keysets");

    // Once, by hand: opening never creates.
    LocalRootKey.create(rootKeyFile, passphrase).close();

    // README
    RootKey root = LocalRootKey.open(rootKeyFile, passphrase);
    try (Kms kms = Kms.builder().rootKey(root).store(FileKeysetStore.at(keysetDirectory)).build()) {
      kms.keysets().create("orders", KeysetTemplate.defaults());
      EnvelopeCipher orders = kms.envelopeCipher("orders");
      EncryptionContext row = EncryptionContext.of("table", "orders", "row", "42");

      byte[] sealed = orders.encrypt(plaintext, row);
      byte[] opened = orders.decrypt(sealed, row); // another row: DecryptionFailedException

      kms.keysets().rotate("orders");
      byte[] moved = orders.rewrap(sealed); // new key version, payload untouched
      // end README

      out.printf("opened  %s%n", new String(opened, StandardCharsets.UTF_8));
      out.printf(
          "sealed  version %d, %d bytes%n",
          EnvelopeInfo.inspect(sealed).keyVersion(), sealed.length);
      out.printf(
          "moved   version %d, %d bytes, opens to %s%n",
          EnvelopeInfo.inspect(moved).keyVersion(),
          moved.length,
          new String(orders.decrypt(moved, row), StandardCharsets.UTF_8));
    }
  }
}
