package dev.sealwax.kms.rootkey;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.nio.file.Path;
import java.util.HexFormat;

/** No content of a root key file makes opening it fail in any other way than it says. */
final class RootKeyFileFuzz {
  // That of local-root-key-v1/vectors.properties, so that one of the seeds opens.
  private static final byte[] SEALING_KEY =
      HexFormat.of().parseHex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");

  @FuzzTest
  void open(byte[] bytes) {
    try (KeyMaterial sealingKey = KeyMaterial.owning(SEALING_KEY.clone());
        Sealing supplied = SuppliedKeySealing.of(sealingKey);
        // Stretching would only slow the search down: what it yields opens no fuzzed file either.
        Sealing passphrase =
            PassphraseSealing.ofExisting(
                "correct horse battery".toCharArray(), (cost, chars, salt) -> new byte[32])) {
      for (Sealing sealing : new Sealing[] {supplied, passphrase}) {
        try {
          RootKeyFile file = RootKeyFile.open(Path.of("root.key"), bytes, sealing);
          assertEquals(RootKeyFile.ROOT_KEY_LEN, file.rootKey().length);
        } catch (RootKeyException e) {
          assertNotNull(e.reason());
        }
      }
    }
  }
}
