package dev.sealwax.kms.pkcs11;

import java.nio.file.Path;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;

final class SoftHsmOaepContractTest extends TokenContract {
  @TempDir private static Path directory;

  @BeforeAll
  static void makeToken() {
    new SoftHsm(directory).withToken("kms");
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
    return SoftHsm.config(uri)
        .withMechanism(WrapMechanism.RSA_OAEP_SHA1)
        .accepting(Concession.OAEP_SHA1);
  }
}
