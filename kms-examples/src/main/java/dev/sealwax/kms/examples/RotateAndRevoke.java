package dev.sealwax.kms.examples;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.envelope.EnvelopeInfo;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.store.FileKeysetStore;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyUnavailableException;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Takes a key version out of service: in the ordinary way, where a rewrap is enough, and after it
 * became known to somebody, where only new ciphertext helps.
 */
public final class RotateAndRevoke {
  private static final byte[] PLAINTEXT = "4 lamps, blue".getBytes(StandardCharsets.UTF_8);

  private RotateAndRevoke() {}

  public static void main(String[] args) throws IOException {
    run(Files.createTempDirectory("sealwax-rotate"), System.out);
  }

  static void run(Path directory, PrintStream out) throws IOException {
    rotate(Files.createDirectory(directory.resolve("rotate")), out);
    revoke(Files.createDirectory(directory.resolve("revoke")), out);
  }

  private static Kms open(Path directory) {
    char[] passphrase = "correct horse battery staple".toCharArray();
    Kms kms =
        Kms.builder()
            .rootKey(LocalRootKey.create(directory.resolve("root.key"), passphrase))
            .store(FileKeysetStore.at(directory.resolve("keysets")))
            .build();
    kms.keysets().create("orders", KeysetTemplate.defaults());
    return kms;
  }

  private static void rotate(Path directory, PrintStream out) {
    try (Kms kms = open(directory)) {
      EnvelopeCipher orders = kms.envelopeCipher("orders");
      EncryptionContext row = EncryptionContext.of("table", "orders", "row", "42");
      byte[] sealed = orders.encrypt(PLAINTEXT, row);

      kms.keysets().rotate("orders"); // or rotateIfDue, from a scheduled job
      byte[] moved = orders.rewrap(sealed); // for each stored envelope, when it suits you
      int version = EnvelopeInfo.inspect(moved).keyVersion(); // what is left? (unauthenticated)
      kms.keysets().disable("orders", 1); // proves that nothing needs it: reversible
      kms.keysets().scheduleDestruction("orders", 1);

      out.println("rotated");
      out.printf("  moved to version %d: %s%n", version, tryToOpen(orders, moved, row));
      out.printf("  the old envelope:   %s%n", tryToOpen(orders, sealed, row));
    }
  }

  private static void revoke(Path directory, PrintStream out) {
    try (Kms kms = open(directory)) {
      EnvelopeCipher orders = kms.envelopeCipher("orders");
      EncryptionContext row = EncryptionContext.of("table", "orders", "row", "42");
      byte[] sealed = orders.encrypt(PLAINTEXT, row);

      kms.keysets().rotate("orders"); // if version 1 is the primary, so that encryption goes on
      kms.keysets().compromise("orders", 1); // from now on only reencrypt opens its data
      byte[] fresh = orders.reencrypt(sealed, row); // new data key, new ciphertext
      kms.keysets().scheduleDestruction("orders", 1);

      out.println("revoked");
      out.printf("  encrypted anew:     %s%n", tryToOpen(orders, fresh, row));
      out.printf("  the old envelope:   %s%n", tryToOpen(orders, sealed, row));
    }
  }

  private static String tryToOpen(EnvelopeCipher cipher, byte[] envelope, EncryptionContext row) {
    try {
      return new String(cipher.decrypt(envelope, row), StandardCharsets.UTF_8);
    } catch (KeyUnavailableException e) {
      return "unavailable, " + e.reason();
    }
  }
}
