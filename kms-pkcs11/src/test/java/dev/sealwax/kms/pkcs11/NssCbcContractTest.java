package dev.sealwax.kms.pkcs11;

import java.nio.file.Path;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;

final class NssCbcContractTest extends TokenContract {
  @TempDir private static Path directory;
  private static Nss nss;

  @BeforeAll
  static void makeToken() {
    nss = new Nss(directory);
  }

  @Override
  Pkcs11Config token() {
    return config(Nss.TOKEN);
  }

  @Override
  Pkcs11Config config(String uri) {
    return nss.config(uri).withMechanism(WrapMechanism.AES_CBC_HMAC);
  }
}
