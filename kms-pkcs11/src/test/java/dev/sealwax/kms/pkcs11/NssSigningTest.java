package dev.sealwax.kms.pkcs11;

import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.rootkey.SignatureAlgorithm;
import dev.sealwax.kms.rootkey.SigningKey;
import java.nio.file.Path;
import java.security.Signature;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Another module's idea of a point and of a signature. */
final class NssSigningTest {
  @TempDir private Path directory;

  @Test
  void ecdsa_verifiesWithTheExportedKey() throws Exception {
    Pkcs11Config config = new Nss(directory).config(Nss.TOKEN + ";object=root");
    try (Pkcs11Token token = Pkcs11Token.open(config)) {
      token.createRootKey("root", RootKeySpec.AES_256);
      token.createSigningKey("ec", SignatureAlgorithm.ECDSA_P384_SHA384);
      try (Pkcs11RootKey rootKey = Pkcs11RootKey.open(config)) {
        SigningKey key = rootKey.signingKey("ec");
        Signature verifier = Signature.getInstance(key.algorithm().jcaName());
        verifier.initVerify(key.publicKey());
        verifier.update(new byte[10]);
        assertTrue(verifier.verify(key.sign(new byte[10])));
      }
    }
  }
}
