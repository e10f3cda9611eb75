package dev.sealwax.kms.rewrap;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.keyset.KeyState;
import dev.sealwax.kms.keyset.VersionUse;
import dev.sealwax.kms.keyset.VersionUse.Answer;
import dev.sealwax.kms.vocabulary.KeyStateException;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class InventoryUseTest {
  private static final KeysetId ORDERS = KeysetId.of(RewrapRig.ORDERS);

  private final ListSource source = new ListSource();
  private final AtomicLong now = new AtomicLong(Long.MAX_VALUE - 5);
  private final AtomicInteger opened = new AtomicInteger();

  private VersionUse use(RewrapRig rig) {
    return new InventoryUse(
        Inventory.verifiedBy(List.of(rig.orders())),
        () -> {
          opened.incrementAndGet();
          return List.of(source);
        },
        now::get);
  }

  @Test
  void version_goesOnlyOnceNothingIsUnderIt() {
    try (RewrapRig rig = RewrapRig.create();
        Kms later = rig.later(Duration.ofDays(31))) {
      source.with("a", rig.sealed("a")).with("b", ListSource.NO_VALUE);
      rig.kms.keysets().rotate(RewrapRig.ORDERS);
      VersionUse use = use(rig);
      KeyStateException refused =
          assertThrows(
              KeyStateException.class,
              () -> rig.kms.keysets().scheduleDestruction(RewrapRig.ORDERS, 1, use));
      assertTrue(refused.getMessage().contains("rewrap that first"), refused.getMessage());

      rig.kms.rewrapper(RewrapRig.ORDERS).source(source).build().run();
      rig.kms.keysets().scheduleDestruction(RewrapRig.ORDERS, 1, use(rig));
      byte[] moved = source.records.get("a");
      byte[] old = moved.clone();
      System.arraycopy(new byte[] {0, 0, 0, 1}, 0, old, 6 + RewrapRig.ORDERS.length(), 4);
      source.with("late", old);
      assertThrows(
          KeyStateException.class, () -> later.keysets().destroy(RewrapRig.ORDERS, 1, use(rig)));
      source.records.remove("late");
      later.keysets().destroy(RewrapRig.ORDERS, 1, use(rig));
      assertEquals(
          KeyState.DESTROYED,
          later.keysets().get(RewrapRig.ORDERS).version(1).orElseThrow().state());
    }
  }

  @Test
  void override_isRecordedAndAsksNobody() {
    try (RewrapRig rig = RewrapRig.create();
        Kms later = rig.later(Duration.ofDays(31))) {
      source.with("a", rig.sealed("a"));
      rig.kms.keysets().rotate(RewrapRig.ORDERS);
      var keyset =
          rig.kms.keysets().scheduleDestructionDespiteUse(RewrapRig.ORDERS, 1, "customer left");
      assertEquals("customer left", keyset.version(1).orElseThrow().overrideReason().orElseThrow());
      later.keysets().destroy(RewrapRig.ORDERS, 1, use(rig));
      assertEquals(0, opened.get());
    }
  }

  @Test
  void whatCannotBeRead_isNotUnused() {
    try (RewrapRig rig = RewrapRig.create()) {
      source.with("a", rig.sealed("a"));
      assertEquals(Answer.UNUSED, use(rig).of(ORDERS, 2));
      assertEquals(Answer.IN_USE, use(rig).of(ORDERS, 1));
      source.with("b", new byte[] {1});
      assertEquals(Answer.UNKNOWN, use(rig).of(ORDERS, 2));
      source.records.remove("b");
      source.beforeScan =
          () -> {
            throw new IOException("scripted");
          };
      assertEquals(Answer.UNKNOWN, use(rig).of(ORDERS, 2));
      source.beforeScan =
          () -> {
            throw new IllegalStateException("scripted");
          };
      assertEquals(Answer.UNKNOWN, use(rig).of(ORDERS, 2));
      source.beforeScan = () -> {};
      Inventory inventory = Inventory.verifiedBy(List.of(rig.orders()));
      Inventory.Sources none = List::of;
      assertEquals(Answer.UNKNOWN, inventory.asVersionUse(none).of(ORDERS, 2));
      Inventory.Sources unmounted = () -> List.of(source, new ListSource());
      assertEquals(Answer.UNKNOWN, inventory.asVersionUse(unmounted).of(ORDERS, 2));
      KeysetId customers = KeysetId.of(RewrapRig.CUSTOMERS);
      assertEquals(Answer.UNKNOWN, use(rig).of(customers, 7));
      assertThrows(IllegalStateException.class, () -> Inventory.ofClaims().asVersionUse(unmounted));
    }
  }

  @Test
  void headerThatNamesAnotherVersionOrKeyset_isNoReasonToLetGo() {
    try (RewrapRig rig = RewrapRig.create()) {
      byte[] sealed = rig.sealed("a");
      rig.kms.keysets().rotate(RewrapRig.ORDERS);
      byte[] otherVersion = sealed.clone();
      otherVersion[6 + RewrapRig.ORDERS.length() + 3] = 2;
      source.with("a", otherVersion);
      assertEquals(Answer.UNKNOWN, use(rig).of(ORDERS, 1));
      byte[] otherKeyset = sealed.clone();
      otherKeyset[6] = 'b';
      source.with("a", otherKeyset);
      assertEquals(Answer.UNKNOWN, use(rig).of(ORDERS, 1));
      source.with("a", rig.sealed("a"));
      assertEquals(Answer.UNUSED, use(rig).of(ORDERS, 1));
    }
  }

  @Test
  void refusal_standsForAnHour_andNothingElseDoes() {
    try (RewrapRig rig = RewrapRig.create()) {
      byte[] old = rig.sealed("a");
      source.with("a", old);
      VersionUse use = use(rig);
      assertEquals(Answer.IN_USE, use.of(ORDERS, 1));
      source.records.clear();
      rig.kms.keysets().rotate(RewrapRig.ORDERS);
      source.with("b", rig.sealed("b"));
      assertEquals(Answer.IN_USE, use.of(ORDERS, 1));
      assertEquals(1, opened.get());
      now.addAndGet(InventoryUse.REFUSAL_NANOS);
      assertEquals(Answer.UNUSED, use.of(ORDERS, 1));
      assertEquals(Answer.UNUSED, use.of(ORDERS, 1));
      assertEquals(3, opened.get());
      source.with("c", old);
      assertEquals(Answer.IN_USE, use.of(ORDERS, 1));
    }
  }
}
