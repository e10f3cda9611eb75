package dev.sealwax.kms.pkcs11;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNAVAILABLE;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.rootkey.WrappedKey;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A connection that is cut and comes back, in one JVM: what SunPKCS11 never recovers from. */
@Timeout(60)
final class RemoteTokenTest {
  @TempDir private Path directory;

  private static Pkcs11Config config(String uri) {
    return P11Kit.config(uri)
        .accepting(Concession.OAEP_SHA1)
        .withBackOff(Duration.ofMillis(10), Duration.ofMillis(200));
  }

  @Test
  void aCutConnection_healsWheneverTheRemoteEndIsBack() {
    try (P11Kit remote = new P11Kit(directory, new SoftHsm(directory).withToken("kms"))) {
      String uri;
      try (Pkcs11Token token = Pkcs11Token.open(config("pkcs11:token=kms"))) {
        uri = token.createRootKey("root", RootKeySpec.RSA_2048).uri();
      }
      try (Pkcs11RootKey rootKey = Pkcs11RootKey.open(config(uri))) {
        WrappedKey wrapped = FakeTokenTest.wrap(rootKey);
        for (int outage = 0; outage < 3; outage++) {
          remote.stop();
          for (int call = 0; call < 5; call++) {
            FakeTokenTest.assertFails(
                UNAVAILABLE, () -> FakeTokenTest.assertOpens(rootKey, wrapped));
          }
          assertTrue(rootKey.health().circuit() != CircuitState.CLOSED);
          remote.start();
          FakeTokenTest.assertRecovers(rootKey, wrapped);
          assertEquals(CircuitState.CLOSED, rootKey.health().circuit());
        }
      }
    }
  }

  /** Gone and back between two calls: nobody is to notice. */
  @Test
  void aConnectionCutBetweenCalls_goesUnnoticed() {
    try (P11Kit remote = new P11Kit(directory, new SoftHsm(directory).withToken("kms"))) {
      String uri;
      try (Pkcs11Token token = Pkcs11Token.open(config("pkcs11:token=kms"))) {
        uri = token.createRootKey("root", RootKeySpec.RSA_2048).uri();
      }
      try (Pkcs11RootKey rootKey = Pkcs11RootKey.open(config(uri))) {
        WrappedKey wrapped = FakeTokenTest.wrap(rootKey);
        remote.stop();
        remote.start();
        FakeTokenTest.assertOpens(rootKey, wrapped);
        assertEquals(1, rootKey.health().reinitializations());
      }
    }
  }
}
