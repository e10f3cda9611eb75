package dev.sealwax.kms.keyset;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.sealwax.kms.store.StoredKeyset;
import dev.sealwax.kms.vocabulary.KeysetCorruptedException;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.nio.charset.StandardCharsets;

/** No document makes the reader fail in any other way than it says, and it takes one form only. */
final class KeysetJsonFuzz {
  private static final KeysetId ORDERS = KeysetId.of("orders");

  @FuzzTest
  void read(byte[] bytes) {
    // ASCII is what a store hands over; everything else StoredKeyset refuses itself.
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] &= 0x7f;
    }
    String document = new String(bytes, StandardCharsets.US_ASCII);
    for (long revision = 1; revision <= 2; revision++) {
      Keyset keyset;
      try {
        keyset = KeysetJson.read(new StoredKeyset(ORDERS, revision, document));
      } catch (KeysetCorruptedException e) {
        continue;
      }
      assertEquals(ORDERS, keyset.id());
      assertEquals(revision, keyset.revision());
      assertTrue(document.startsWith(KeysetJson.body(keyset) + ",\"mac\":\""), document);
    }
  }
}
