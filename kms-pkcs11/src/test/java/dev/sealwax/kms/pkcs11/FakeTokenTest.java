package dev.sealwax.kms.pkcs11;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

/** A fake module with a root key on it, for the tests of what happens when it fails. */
@Timeout(60)
abstract class FakeTokenTest {
  static final EncryptionContext CONTEXT = EncryptionContext.of("keyset", "orders");
  static final byte[] SECRET = new byte[64];

  @TempDir Path directory;
  FakeModule module;
  Pkcs11Config config;

  @BeforeEach
  final void makeModule() throws IOException {
    Pkcs11Token.forgetRefusedPins();
    module = new FakeModule();
    Path file = Files.createFile(directory.resolve("module.so"));
    config =
        Pkcs11Config.of(file, "pkcs11:token=fake;object=root")
            .withPin(FakeModule.PIN::toCharArray)
            .withBackOff(Duration.ofMillis(1), Duration.ofMillis(1));
  }

  @AfterEach
  final void forgetPins() {
    module.heal();
    Pkcs11Token.forgetRefusedPins();
  }

  final Pkcs11RootKey create() {
    try (Pkcs11Token token = Pkcs11Token.open(config, path -> module)) {
      token.createRootKey("root", RootKeySpec.AES_256);
    }
    return open();
  }

  final Pkcs11RootKey open() {
    return Pkcs11RootKey.open(config, path -> module);
  }

  static WrappedKey wrap(Pkcs11RootKey rootKey) {
    try (KeyMaterial key = KeyMaterial.copyOf(SECRET)) {
      return rootKey.wrap(key, CONTEXT);
    }
  }

  static void assertOpens(Pkcs11RootKey rootKey, WrappedKey wrapped) {
    try (KeyMaterial key = rootKey.unwrap(wrapped, CONTEXT);
        KeyMaterial expected = KeyMaterial.copyOf(SECRET)) {
      assertEquals(true, key.contentEquals(expected));
    }
  }

  static RootKeyException assertFails(RootKeyException.Reason reason, Executable call) {
    RootKeyException failure = assertThrows(RootKeyException.class, call);
    assertEquals(reason, failure.reason(), failure::getMessage);
    return failure;
  }

  final void failOnce(CkFunction function, ReturnCode code) {
    int calls = module.calls(function);
    module.failing(function, code.code(), fake -> fake.calls(function) > calls + 1);
  }

  /** The next operation after a fault has ended succeeds within a second: the back-off is short. */
  static void assertRecovers(Pkcs11RootKey rootKey, WrappedKey wrapped) {
    long end = System.nanoTime() + Duration.ofSeconds(1).toNanos();
    while (true) {
      try {
        assertOpens(rootKey, wrapped);
        return;
      } catch (RootKeyException e) {
        if (System.nanoTime() > end) {
          throw e;
        }
        Thread.onSpinWait();
      }
    }
  }
}
