package dev.sealwax.kms.examples.hsm;

import dev.sealwax.kms.pkcs11.PinSource;
import dev.sealwax.kms.pkcs11.Pkcs11Config;
import dev.sealwax.kms.pkcs11.Pkcs11KeyInfo;
import dev.sealwax.kms.pkcs11.Pkcs11RootKey;
import dev.sealwax.kms.pkcs11.Pkcs11Token;
import dev.sealwax.kms.pkcs11.RootKeySpec;
import java.nio.file.Path;

/**
 * The root key of the examples on a token.
 *
 * @param module the shared library of the HSM
 * @param uri names the key
 */
record HsmKey(Path module, String uri) {
  private static final String LABEL = "sealwax-examples";

  /**
   * Looks for the key of an earlier run and makes one if there is none. In earnest that is done
   * once and by hand, and services are only told the URI.
   *
   * @param tokenUri the URI of a token, without its PIN
   */
  static HsmKey findOrCreate(Path module, String tokenUri) {
    try (Pkcs11Token token = Pkcs11Token.open(config(module, tokenUri))) {
      Pkcs11KeyInfo key =
          token.keys().stream()
              .filter(found -> found.label().equals(LABEL))
              .findFirst()
              .orElseGet(() -> token.createRootKey(LABEL, RootKeySpec.AES_256));
      return new HsmKey(module, key.uri());
    }
  }

  private static Pkcs11Config config(Path module, String uri) {
    return Pkcs11Config.of(module, uri).withPin(PinSource.environment(SoftHsm.PIN_VARIABLE));
  }

  Pkcs11RootKey open() {
    return Pkcs11RootKey.open(config(module, uri));
  }

  /** Whether the module is one that keeps its keys in files. */
  boolean isSoftware() {
    String name = String.valueOf(module.getFileName());
    return name.contains("softhsm") || name.contains("softokn");
  }

  String description() {
    return uri + (isSoftware() ? " in " + module.getFileName() + ", which is SOFTWARE" : "");
  }
}
