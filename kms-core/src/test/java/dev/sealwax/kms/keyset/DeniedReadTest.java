package dev.sealwax.kms.keyset;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.sealwax.kms.rootkey.RootKeyRule;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.RootKeyException;
import dev.sealwax.kms.vocabulary.RootKeyException.Reason;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** What the root key denies while a keyset is read or moved, and what that ends. */
final class DeniedReadTest {
  private static final Duration PAUSE = RootCalls.FAILURE_PAUSE.multipliedBy(2);

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
                open.withKeyEncryptionKey(
                    before, 1, KeyUse.DECRYPT, (kek, consent) -> kek.unwrap(wrapped, 0));
                rig.runBackground(); // the renewal of what is in memory
                rig.root.beforeUnwrap = () -> {};
              });
      assertEquals(2, reader.keysets().get("orders").revision());

      rig.root.beforeUnwrap = DeniedReadTest::deny;
      rig.time.advance(PAUSE);
      assertDenied(() -> Rig.unwrap(open, 1, wrapped));
    }
  }

  @Test
  void denialOfWhatAReadUnderWayHasUnwrapped_isNotForgottenWithItsKeyNorItsDoubt() {
    try (Rig rig = new Rig()) {
      rig.keysets.create("orders", KeysetTemplate.defaults());
      OpenKeysets reader = rig.process();
      OpenKeyset open = reader.open(KeysetId.of("orders"));
      byte[] wrapped = Rig.wrap(open, 1);
      rig.keysets.setRootKeyRule("orders", RootKeyRule.any().forbidding("zone=us"));
      rig.time.advance(Rig.HARD); // nothing of before is in memory
      rig.root.beforeUnwrap =
          ScriptedStore.once(
              () -> {
                rig.time.advance(Duration.ofMillis(1));
                rig.root.beforeUnwrap = DeniedReadTest::deny;
                assertDenied(() -> reader.keysets().get("orders"));
                rig.root.beforeUnwrap = () -> {};
              });
      assertEquals(2, reader.keysets().get("orders").revision());

      assertDenied(() -> open.snapshotToWrap(0));
      rig.root.beforeUnwrap = DeniedReadTest::deny;
      rig.time.advance(PAUSE);
      assertDenied(() -> Rig.unwrap(open, 1, wrapped));
    }
  }

  @Test
  void denialDuringAMove_endsTheVersionInUse() {
    try (Rig rig = new Rig()) {
      rig.keysets.create("orders", KeysetTemplate.defaults());
      OpenKeyset open = rig.open("orders");
      byte[] wrapped = Rig.wrap(open, 1);
      rig.root.beforeUnwrap = DeniedReadTest::deny;
      RootKeyRule rule = RootKeyRule.any().forbidding("zone=us");
      assertDenied(() -> rig.keysets.setRootKeyRule("orders", rule));
      rig.time.advance(PAUSE);
      assertDenied(() -> Rig.unwrap(open, 1, wrapped));
      rig.root.beforeUnwrap = () -> {};
      rig.time.advance(PAUSE);
      Rig.unwrap(open, 1, wrapped);
    }
  }

  @Test
  void denialOfADocumentWrittenSince_endsEncryptionOnly_untilItIsRead() {
    try (Rig rig = new Rig()) {
      rig.keysets.create("orders", KeysetTemplate.defaults());
      OpenKeysets reader = rig.process();
      OpenKeyset open = reader.open(KeysetId.of("orders"));
      byte[] wrapped = Rig.wrap(open, 1);
      rig.keysets.setRootKeyRule("orders", RootKeyRule.any().forbidding("zone=us"));
      rig.root.beforeUnwrap = DeniedReadTest::deny;
      assertDenied(() -> reader.keysets().get("orders"));
      assertDenied(() -> open.snapshotToWrap(0));
      Rig.unwrap(open, 1, wrapped);
      rig.root.beforeUnwrap = () -> {};
      rig.time.advance(PAUSE);
      assertEquals(2, reader.keysets().get("orders").revision());
      assertEquals(2, open.snapshotToWrap(0).revision());
    }
  }

  @Test
  void outageOfTheRootKeyWhenADocumentIsRead_endsNothing() {
    try (Rig rig = new Rig()) {
      rig.keysets.create("orders", KeysetTemplate.defaults());
      OpenKeysets reader = rig.process();
      OpenKeyset open = reader.open(KeysetId.of("orders"));
      byte[] wrapped = Rig.wrap(open, 1);
      rig.keysets.setRootKeyRule("orders", RootKeyRule.any().forbidding("zone=us"));
      rig.root.beforeUnwrap =
          () -> {
            throw new RootKeyException(Reason.UNAVAILABLE, "scripted");
          };
      assertThrows(RootKeyException.class, () -> reader.keysets().get("orders"));
      assertEquals(1, open.snapshotToWrap(0).revision());
      Rig.unwrap(open, 1, wrapped);
    }
  }

  private static void assertDenied(Executable call) {
    assertEquals(Reason.ACCESS_DENIED, assertThrows(RootKeyException.class, call).reason());
  }
}
