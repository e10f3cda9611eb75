package dev.sealwax.kms.keyset;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.rootkey.QuorumRootKey;
import dev.sealwax.kms.rootkey.RootKeyRule;
import dev.sealwax.kms.rootkey.TestRootKeys;
import dev.sealwax.kms.testkit.FaultyRootKey;
import dev.sealwax.kms.testkit.FaultyRootKey.Fault;
import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.KeyStateException;
import dev.sealwax.kms.vocabulary.KmsEvent;
import dev.sealwax.kms.vocabulary.KmsEvent.Change;
import dev.sealwax.kms.vocabulary.KmsEvent.Operation;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.time.Duration;
import java.time.Instant;
import java.util.EnumSet;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What a listener is told of each verb: which change it was, and of which version. */
final class ChangeEventsTest {
  private final Rig rig = new Rig();
  private final Keysets keysets = rig.keysets;
  private final Set<Change> told = EnumSet.noneOf(Change.class);

  @AfterEach
  void close() {
    rig.close();
  }

  private KmsEvent change() {
    KmsEvent only = null;
    for (KmsEvent event : rig.events) {
      if (event.operation() == Operation.KEYSET_CHANGE) {
        assertEquals(null, only, () -> "more than one change in " + rig.events);
        only = event;
      } else {
        assertEquals(Change.NONE, event.change());
      }
    }
    rig.events.clear();
    told.add(only.change());
    return only;
  }

  /** The verb that was just called was that change, of that version or, if 0, of the keyset. */
  private void assertTold(Change change, int version) {
    KmsEvent event = change();
    assertEquals(change, event.change());
    assertEquals(version, event.keyVersion());
    assertTrue(event.isSuccess());
  }

  @Test
  void eachVerb_tellsItsChange() {
    Instant soon = ManualTime.START.plus(Duration.ofHours(1));
    keysets.create("orders", KeysetTemplate.defaults());
    assertTold(Change.CREATE, 0);
    keysets.rotate("orders");
    assertTold(Change.ROTATE, 0);
    keysets.rollback("orders");
    assertTold(Change.ROLLBACK, 0);
    keysets.publish("orders");
    assertTold(Change.PUBLISH, 0);
    keysets.promote("orders", 3);
    assertTold(Change.PROMOTE, 3);
    keysets.disable("orders", 2);
    assertTold(Change.DISABLE, 2);
    keysets.enable("orders", 2);
    assertTold(Change.ENABLE, 2);
    keysets.compromise("orders", 2);
    assertTold(Change.COMPROMISE, 2);
    keysets.setExpiry("orders", soon);
    assertTold(Change.SET_EXPIRY, 0);
    keysets.removeExpiry("orders");
    assertTold(Change.REMOVE_EXPIRY, 0);
    keysets.setExpiry("orders", 1, soon);
    assertTold(Change.SET_EXPIRY, 1);
    keysets.removeExpiry("orders", 1);
    assertTold(Change.REMOVE_EXPIRY, 1);
    keysets.placeHold("orders", "case 7");
    assertTold(Change.PLACE_HOLD, 0);
    keysets.releaseHold("orders");
    assertTold(Change.RELEASE_HOLD, 0);
    keysets.scheduleDestruction("orders", 2);
    assertTold(Change.SCHEDULE_DESTRUCTION, 2);
    keysets.cancelDestruction("orders", 2);
    assertTold(Change.CANCEL_DESTRUCTION, 2);
    keysets.scheduleDestructionDespiteUse("orders", 2, "it leaked");
    assertTold(Change.SCHEDULE_DESTRUCTION_DESPITE_USE, 2);
    rig.time.advance(Duration.ofDays(30));
    keysets.destroy("orders", 2);
    assertTold(Change.DESTROY, 2);
    keysets.setRotationPolicy("orders", RotationPolicy.manual());
    assertTold(Change.SET_ROTATION_POLICY, 0);
    keysets.moveToRootKey("orders", rig.root);
    assertTrue(
        rig.events.stream().noneMatch(event -> event.change() != Change.NONE), "it is there");
    rig.events.clear();
    keysets.setRootKeyRule("orders", RootKeyRule.any().forbidding("zone=us"));
    assertTold(Change.SET_ROOT_KEY_RULE, 0);
    keysets.moveToRootKey("orders", TestRootKeys.inMemory());
    assertTold(Change.MOVE_TO_ROOT_KEY, 0);

    keysets.scheduleDestruction("orders");
    assertTold(Change.SCHEDULE_DESTRUCTION, 0);
    keysets.cancelDestruction("orders");
    assertTold(Change.CANCEL_DESTRUCTION, 0);
    keysets.scheduleDestructionDespiteUse("orders", "the customer has left");
    assertTold(Change.SCHEDULE_DESTRUCTION_DESPITE_USE, 0);
    rig.time.advance(Duration.ofDays(30));
    keysets.destroy("orders");
    assertTold(Change.DESTROY, 0);

    tellRepair();
    assertEquals(EnumSet.complementOf(EnumSet.of(Change.NONE)), told, "a change no verb tells");
  }

  private void tellRepair() {
    FaultyRootKey away = FaultyRootKey.around(TestRootKeys.inMemory());
    try (QuorumRootKey quorum =
        QuorumRootKey.builder().member(TestRootKeys.inMemory()).member(away).required(1).build()) {
      Keysets held = rig.process(quorum, CachePolicy.none()).keysets();
      away.next(Fault.failing(RootKeyException.Reason.UNAVAILABLE));
      held.create("held", KeysetTemplate.defaults());
      rig.events.clear();
      held.repairWraps("held");
      assertTold(Change.REPAIR_WRAPS, 0);
    }
  }

  @Test
  void whatIsDue_tellsTheStepsTaken() {
    Duration delay = Duration.ofHours(1);
    keysets.create(
        "orders",
        KeysetTemplate.defaults()
            .withRotationPolicy(
                RotationPolicy.manual().afterAge(Duration.ofDays(7)).withPropagationDelay(delay)));
    assertTold(Change.CREATE, 0);
    rig.time.advance(Duration.ofDays(7));
    keysets.rotateIfDue("orders");
    assertTold(Change.PUBLISH, 0);
    rig.time.advance(delay);
    keysets.rotateIfDue("orders");
    assertTold(Change.PROMOTE, 0);
    keysets.scheduleDestruction("orders", 1);
    assertTold(Change.SCHEDULE_DESTRUCTION, 1);
    rig.time.advance(Duration.ofDays(30));
    keysets.due().destroy("orders", null);
    assertTold(Change.DESTROY, 0);
  }

  @Test
  void refusedVerb_tellsWhichItWas() {
    keysets.create("orders", KeysetTemplate.defaults());
    rig.events.clear();
    assertThrows(KeyStateException.class, () -> keysets.enable("orders", 1));
    KmsEvent event = change();
    assertEquals(Change.ENABLE, event.change());
    assertEquals(1, event.keyVersion());
    assertFalse(event.isSuccess());
  }
}
