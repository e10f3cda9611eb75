package dev.sealwax.kms.pkcs11;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;

import com.code_intelligence.jazzer.junit.FuzzTest;
import java.nio.charset.StandardCharsets;

/** A text is refused as it says, or has a canonical form that means the same. */
final class Pkcs11UriFuzz {
  @FuzzTest
  void parse(byte[] bytes) {
    Pkcs11Uri uri;
    try {
      uri = Pkcs11Uri.parse(new String(bytes, StandardCharsets.UTF_8));
    } catch (IllegalArgumentException e) {
      assertNotNull(e.getMessage());
      return;
    }
    String canonical = uri.toString();
    if (canonical.length() <= Pkcs11Uri.MAX_LENGTH) {
      assertEquals(uri, Pkcs11Uri.parse(canonical));
      assertEquals(canonical, Pkcs11Uri.parse(canonical).toString());
    }
  }
}
