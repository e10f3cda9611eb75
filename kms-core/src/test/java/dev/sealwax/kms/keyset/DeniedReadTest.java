package dev.sealwax.kms.keyset;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.sealwax.kms.rootkey.RootKeyRule;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.RootKeyException;
import dev.sealwax.kms.vocabulary.RootKeyException.Reason;
import java.time.Duration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** What the root key denies while a keyset is read or moved, and what that ends. */
final class DeniedReadTest {
  private static final Duration PAUSE = RootCalls.FAILURE_PAUSE.multipliedBy(2);

  private final Rig rig = rigWithOrders();
  private final OpenKeysets reader = rig.process();
  private final OpenKeyset open = reader.open(KeysetId.of("orders"));
  private final byte[] wrapped = Rig.wrap(open, 1);

  private static Rig rigWithOrders() {
    Rig rig = new Rig();
    rig.keysets.create("orders", KeysetTemplate.defaults());
    return rig;
  }

  @AfterEach
  void close() {
    rig.close();
  }

  /** By another process, with another document key, so that the next read has to unwrap. */
  private void rewrapElsewhere() {
    rewrapBy(rig.keysets);
  }

  private static void rewrapBy(Keysets keysets) {
    keysets.setRootKeyRule("orders", RootKeyRule.any().forbidding("zone=us"));
  }

  private Keyset read() {
    return reader.keysets().get("orders");
  }

  private void rootKeyFails(Reason reason) {
    rig.root.beforeUnwrap =
        () -> {
          throw new RootKeyException(reason, "scripted");
        };
  }

  private void rootKeyWorks() {
    rig.root.beforeUnwrap = () -> {};
  }

  private void duringTheNextUnwrap(Runnable step) {
    rig.root.beforeUnwrap = ScriptedStore.once(step);
  }

  private static void assertDenied(Executable call) {
    assertEquals(Reason.ACCESS_DENIED, assertThrows(RootKeyException.class, call).reason());
  }

  private void assertDeniedFromNowOn() {
    rootKeyFails(Reason.ACCESS_DENIED);
    rig.time.advance(PAUSE);
    assertDenied(() -> Rig.unwrap(open, 1, wrapped));
  }

  @Test
  void denialDuringARead_isNotForgottenWithItsKey() {
    Keyset before = open.snapshot(1);
    rewrapElsewhere();
    rig.time.advance(Rig.SOFT.plusMinutes(1));
    duringTheNextUnwrap(
        () -> {
          rootKeyFails(Reason.ACCESS_DENIED);
          open.withKeyEncryptionKey(
              before, 1, KeyUse.DECRYPT, (kek, consent) -> kek.unwrap(wrapped, 0));
          rig.runBackground(); // the renewal of what is in memory
          rootKeyWorks();
        });
    assertEquals(2, read().revision());

    assertDeniedFromNowOn();
  }

  @Test
  void denialOfWhatAReadUnderWayHasUnwrapped_isNotForgottenWithItsKeyNorItsDoubt() {
    rewrapElsewhere();
    rig.time.advance(Rig.HARD); // nothing of before is in memory
    duringTheNextUnwrap(
        () -> {
          rig.time.advance(Duration.ofMillis(1));
          rootKeyFails(Reason.ACCESS_DENIED);
          assertDenied(this::read);
          rootKeyWorks();
        });
    assertEquals(2, read().revision());

    assertDenied(() -> open.snapshotToWrap(0));
    assertDeniedFromNowOn();
  }

  @Test
  void denialDuringAMove_endsTheVersionInUse() {
    rootKeyFails(Reason.ACCESS_DENIED);
    assertDenied(() -> rewrapBy(reader.keysets()));

    assertDeniedFromNowOn();
    rootKeyWorks();
    rig.time.advance(PAUSE);
    Rig.unwrap(open, 1, wrapped);
  }

  @Test
  void denialOfADocumentWrittenSince_endsEncryptionOnly_untilItIsRead() {
    rewrapElsewhere();
    rootKeyFails(Reason.ACCESS_DENIED);
    assertDenied(this::read);
    assertDenied(() -> open.snapshotToWrap(0));
    Rig.unwrap(open, 1, wrapped);

    rootKeyWorks();
    rig.time.advance(PAUSE);
    assertEquals(2, read().revision());
    assertEquals(2, open.snapshotToWrap(0).revision());
  }

  @Test
  void outageOfTheRootKeyWhenADocumentIsRead_endsNothing() {
    rewrapElsewhere();
    rootKeyFails(Reason.UNAVAILABLE);
    assertThrows(RootKeyException.class, this::read);
    assertEquals(1, open.snapshotToWrap(0).revision());
    Rig.unwrap(open, 1, wrapped);
  }
}
