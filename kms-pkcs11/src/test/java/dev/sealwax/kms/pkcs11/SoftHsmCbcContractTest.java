package dev.sealwax.kms.pkcs11;

import java.nio.file.Path;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;

final class SoftHsmCbcContractTest extends TokenContract {
  @TempDir private static Path directory;

  @BeforeAll
  static void makeToken() {
    new SoftHsm(directory).withToken("kms");
  }

  @Override
  Pkcs11Config token() {
    return config("pkcs11:token=kms");
  }

  @Override
  Pkcs11Config config(String uri) {
    return SoftHsm.config(uri).withMechanism(WrapMechanism.AES_CBC_HMAC);
  }
}
