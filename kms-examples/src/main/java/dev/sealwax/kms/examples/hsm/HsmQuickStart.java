package dev.sealwax.kms.examples.hsm;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.pkcs11.PinSource;
import dev.sealwax.kms.pkcs11.Pkcs11Config;
import dev.sealwax.kms.pkcs11.Pkcs11RootKey;
import dev.sealwax.kms.store.FileKeysetStore;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;

/**
 * The quick start with its root key in an HSM. Arguments: the module of the HSM and the URI of a
 * token, whose PIN is in {@code SEALWAX_PIN}; without them it brings up SoftHSM.
 */
public final class HsmQuickStart {
  private HsmQuickStart() {}

  public static void main(String[] args) throws Exception {
    HsmExample.main(HsmQuickStart.class, args, HsmQuickStart::run);
  }

  static void run(HsmKey key, Path directory, List<String> options, PrintStream out) {
    out.printf("root key  %s%n", key.description());
    Path module = key.module();
    String keyUri = key.uri();
    Path keysetDirectory = directory.resolve("keysets");
    byte[] plaintext = "4 lamps, blue".getBytes(StandardCharsets.UTF_8);

    Pkcs11Config config =
        Pkcs11Config.of(module, keyUri).withPin(PinSource.environment("SEALWAX_PIN"));
    Pkcs11RootKey root = Pkcs11RootKey.open(config);
    try (Kms kms = Kms.builder().rootKey(root).store(FileKeysetStore.at(keysetDirectory)).build()) {
      kms.keysets().create("orders", KeysetTemplate.defaults());
      EnvelopeCipher orders = kms.envelopeCipher("orders");
      EncryptionContext row = EncryptionContext.of("table", "orders", "row", "42");

      byte[] sealed = orders.encrypt(plaintext, row);
      byte[] opened = orders.decrypt(sealed, row);

      out.printf("wrapping  %s, key is %s%n", root.mechanism(), root.protection());
      out.printf("opened    %s%n", new String(opened, StandardCharsets.UTF_8));
      for (int i = 0; i < 10_000; i++) {
        orders.decrypt(orders.encrypt(plaintext, row), row);
      }
      out.printf(
          "calls     %d to the HSM for 20,002 messages%n",
          kms.statistics().rootWraps() + kms.statistics().rootUnwraps());
    }
  }
}
