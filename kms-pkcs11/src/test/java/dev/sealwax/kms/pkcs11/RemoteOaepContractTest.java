package dev.sealwax.kms.pkcs11;

import java.nio.file.Path;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;

/** Behind p11-kit, which lets no AES mechanism through. */
final class RemoteOaepContractTest extends TokenContract {
  @TempDir private static Path directory;
  private static P11Kit remote;

  @BeforeAll
  static void startServer() {
    remote = new P11Kit(directory, new SoftHsm(directory).withToken("kms"));
  }

  @AfterAll
  static void stopServer() {
    remote.close();
  }

  @Override
  RootKeySpec spec() {
    return RootKeySpec.RSA_2048;
  }

  @Override
  Pkcs11Config token() {
    return config("pkcs11:token=kms");
  }

  @Override
  Pkcs11Config config(String uri) {
    return P11Kit.config(uri).accepting(Concession.OAEP_SHA1);
  }
}
