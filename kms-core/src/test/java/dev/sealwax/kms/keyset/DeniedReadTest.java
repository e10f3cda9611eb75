package dev.sealwax.kms.keyset;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.sealwax.kms.rootkey.RootKeyRule;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.RootKeyException;
import dev.sealwax.kms.vocabulary.RootKeyException.Reason;
import java.time.Duration;
import org.junit.jupiter.api.Test;

/** A version that a read has unwrapped, and the root key has denied before the read was over. */
final class DeniedReadTest {
  private static void deny() {
    throw new RootKeyException(Reason.ACCESS_DENIED, "scripted");
  }

  @Test
  void denialDuringARead_isNotForgottenWithItsKey() {
    try (Rig rig = new Rig()) {
      rig.keysets.create("orders", KeysetTemplate.defaults());
      OpenKeysets reader = rig.process();
      OpenKeyset open = reader.open(KeysetId.of("orders"));
      byte[] wrapped = Rig.wrap(open, 1);
      Keyset before = open.snapshot(1);
      // Another document key, so that the next read has to unwrap.
      rig.keysets.setRootKeyRule("orders", RootKeyRule.any().forbidding("zone=us"));
      rig.time.advance(Rig.SOFT.plusMinutes(1));
      rig.root.beforeUnwrap =
          ScriptedStore.once(
              () -> {
                rig.root.beforeUnwrap = DeniedReadTest::deny;
                open.withKeyEncryptionKey(before, 1, KeyUse.DECRYPT, kek -> kek.unwrap(wrapped, 0));
                rig.runBackground(); // the renewal of what is in memory
                rig.root.beforeUnwrap = () -> {};
              });
      assertEquals(2, reader.keysets().get("orders").revision());

      rig.root.beforeUnwrap = DeniedReadTest::deny;
      rig.time.advance(Duration.ofMillis(200));
      RootKeyException failure =
          assertThrows(RootKeyException.class, () -> Rig.unwrap(open, 1, wrapped));
      assertEquals(Reason.ACCESS_DENIED, failure.reason());
    }
  }
}
