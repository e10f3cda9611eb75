package dev.sealwax.kms.pkcs11;

import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.testkit.RootKeyContract;
import java.util.HashMap;
import java.util.Map;

/** The contract of every root key, on a token and with a mechanism. */
abstract class TokenContract extends RootKeyContract {
  private final Map<String, String> uris = new HashMap<>();

  /** The token, with the mechanism under test. */
  abstract Pkcs11Config token();

  abstract Pkcs11Config config(String uri);

  RootKeySpec spec() {
    return RootKeySpec.AES_256;
  }

  @Override
  protected RootKey openRootKey() {
    return open("first");
  }

  @Override
  protected RootKey openOtherRootKey() {
    return open("second");
  }

  private RootKey open(String label) {
    return Pkcs11RootKey.open(config(uris.computeIfAbsent(label, this::create)));
  }

  private String create(String label) {
    try (Pkcs11Token token = Pkcs11Token.open(token())) {
      return token.keys().stream()
          .filter(key -> key.label().equals(label))
          .findFirst()
          .orElseGet(() -> token.createRootKey(label, spec()))
          .uri();
    }
  }
}
