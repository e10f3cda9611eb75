package dev.sealwax.kms.pkcs11;

import java.nio.file.Path;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;

final class NssOaepContractTest extends TokenContract {
  @TempDir private static Path directory;
  private static Nss nss;

  @BeforeAll
  static void makeToken() {
    nss = new Nss(directory);
  }

  @Override
  RootKeySpec spec() {
    return RootKeySpec.RSA_2048;
  }

  @Override
  Pkcs11Config token() {
    return config(Nss.TOKEN);
  }

  @Override
  Pkcs11Config config(String uri) {
    return nss.config(uri).withMechanism(WrapMechanism.RSA_OAEP_SHA256);
  }
}
