package dev.sealwax.kms.pkcs11;

import java.nio.file.Path;

/**
 * A process of its own that destroys all keys with a label: module, URI, label, PIN by environment.
 */
final class DestroyKeys {
  private DestroyKeys() {}

  public static void main(String[] args) {
    Pkcs11Config config =
        Pkcs11Config.of(Path.of(args[0]), args[1]).withPin(PinSource.environment("TOKEN_PIN"));
    try (TokenConnection connection =
        TokenConnection.open(config, /* writable= */ true, NativeCryptoki::load)) {
      int destroyed =
          connection.callOnce(
              "destroy",
              session -> {
                long[] handles = session.find(new Template().text(Ck.CKA_LABEL, args[2]), 64);
                for (long handle : handles) {
                  session.destroyObject(handle);
                }
                return handles.length;
              });
      if (destroyed == 0) {
        throw new IllegalStateException("there was nothing to destroy");
      }
    }
  }
}
