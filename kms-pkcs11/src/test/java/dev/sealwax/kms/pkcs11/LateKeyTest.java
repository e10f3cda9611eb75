package dev.sealwax.kms.pkcs11;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNAVAILABLE;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.rootkey.WrappedKey;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;

/** Keys that a token makes when nobody waits for them any more. */
final class LateKeyTest extends FakeTokenTest {
  @Test
  void aKeyThatComesTooLate_isDestroyedInTheSameCall() throws InterruptedException {
    create().close();
    config = config.withCallTimeout(Duration.ofSeconds(2));
    CountDownLatch late = new CountDownLatch(1);
    module.hanging(CkFunction.C_GenerateKey, late);
    try (Pkcs11Token token = Pkcs11Token.open(config, path -> module)) {
      assertFails(UNAVAILABLE, () -> token.rotateRootKey("root", RootKeySpec.AES_256));
      int destroyed = module.calls(CkFunction.C_DestroyObject);
      late.countDown();
      long end = System.nanoTime() + Duration.ofSeconds(10).toNanos();
      while (token.health().callsOverdue() > 0) {
        assertTrue(System.nanoTime() < end, "the call does not end");
        Thread.sleep(5);
      }
      assertEquals(destroyed + 1, module.calls(CkFunction.C_DestroyObject));
      assertEquals(1, token.keys().size());
    }
    config = config.withCallTimeout(Duration.ofSeconds(30));
    try (Pkcs11RootKey rootKey = open()) {
      WrappedKey wrapped = wrap(rootKey);
      assertOpens(rootKey, wrapped);
    }
  }
}
