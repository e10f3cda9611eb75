package dev.sealwax.kms.keyset;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.crypto.UsageMeter;
import dev.sealwax.kms.vocabulary.KeyStateException;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.time.Duration;
import java.time.temporal.ChronoUnit;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.Tuple;
import net.jqwik.api.statistics.Statistics;

/** Whatever operators do, in whatever order, the rules of keyset-v1 §3 and §4 hold. */
final class KeysetLifecycleProperties {
  private enum Verb {
    ROTATE,
    ROTATE_IF_DUE,
    ROLLBACK,
    SET_POLICY,
    HOLD,
    RELEASE,
    SCHEDULE_DESPITE_USE,
    DESTROY_DUE,
    EXPIRE,
    KEEP,
    USE,
    PUBLISH,
    PROMOTE,
    DISABLE,
    ENABLE,
    COMPROMISE,
    SCHEDULE,
    CANCEL,
    DESTROY,
    SCHEDULE_ALL,
    CANCEL_ALL,
    DESTROY_ALL,
    MOVE,
    WAIT
  }

  private record Step(Verb verb, int version) {}

  @Provide
  Arbitrary<List<Step>> steps() {
    Arbitrary<Verb> verb =
        Arbitraries.frequency(
            Tuple.of(4, Verb.ROTATE),
            Tuple.of(4, Verb.ROTATE_IF_DUE),
            Tuple.of(3, Verb.ROLLBACK),
            Tuple.of(2, Verb.SET_POLICY),
            Tuple.of(3, Verb.USE),
            Tuple.of(1, Verb.HOLD),
            Tuple.of(2, Verb.RELEASE),
            Tuple.of(3, Verb.SCHEDULE_DESPITE_USE),
            Tuple.of(2, Verb.DESTROY_DUE),
            Tuple.of(2, Verb.EXPIRE),
            Tuple.of(2, Verb.KEEP),
            Tuple.of(4, Verb.PUBLISH),
            Tuple.of(4, Verb.PROMOTE),
            Tuple.of(4, Verb.DISABLE),
            Tuple.of(4, Verb.ENABLE),
            Tuple.of(3, Verb.COMPROMISE),
            Tuple.of(6, Verb.SCHEDULE),
            Tuple.of(2, Verb.CANCEL),
            Tuple.of(6, Verb.DESTROY),
            Tuple.of(2, Verb.SCHEDULE_ALL),
            Tuple.of(1, Verb.CANCEL_ALL),
            Tuple.of(4, Verb.DESTROY_ALL),
            Tuple.of(1, Verb.MOVE),
            Tuple.of(4, Verb.WAIT));
    return Combinators.combine(verb, Arbitraries.integers().between(1, 5))
        .as(Step::new)
        .list()
        .ofMinSize(5)
        .ofMaxSize(40);
  }

  @Property(tries = 300)
  void anySequenceOfVerbs_keepsTheRules(@ForAll("steps") List<Step> steps) {
    try (Rig rig = new Rig()) {
      Keyset keyset =
          rig.keysets.create("k", KeysetTemplate.defaults().withQuietPeriod(Duration.ofDays(10)));
      OpenKeyset open = rig.open("k");
      Map<Integer, byte[]> wrapped = new HashMap<>();
      wrapped.put(1, Rig.wrap(open, 1));
      for (Step step : steps) {
        Keyset next = keyset;
        try {
          next = apply(rig, keyset, step);
        } catch (KeyStateException e) {
          assertEquals(keyset.revision(), rig.store.stored("k").revision(), "nothing written");
        }
        assertRules(keyset, next);
        assertTrue(next == open.snapshot(0) || next.revision() == open.snapshot(0).revision());
        for (KeyVersion version : next.versions()) {
          wrapped.computeIfAbsent(version.number(), number -> tryWrap(open, next(open), number));
          assertUsable(open, open.snapshot(0), version, wrapped.get(version.number()));
        }
        keyset = next;
      }
      assertSameInAFreshProcess(rig, keyset);
      Statistics.collect(
          keyset.isDestroyed() ? "destroyed" : keyset.versions().size() > 2 ? "many" : "few");
    }
  }

  private static Keyset next(OpenKeyset open) {
    return open.snapshot(0);
  }

  private static byte[] tryWrap(OpenKeyset open, Keyset keyset, int number) {
    return keyset.allowsAny(keyset.version(number).orElseThrow()) ? Rig.wrap(open, number) : null;
  }

  private static void assertUsable(
      OpenKeyset open, Keyset keyset, KeyVersion version, byte[] wrapped) {
    if (wrapped == null) {
      return;
    }
    if (keyset.allowsAny(version)) {
      assertEquals(32, Rig.unwrap(open, version.number(), wrapped).length);
    } else {
      assertThrows(RuntimeException.class, () -> Rig.unwrap(open, version.number(), wrapped));
    }
  }

  private static Keyset apply(Rig rig, Keyset keyset, Step step) {
    Keysets verbs = rig.keysets;
    int version = step.version();
    return switch (step.verb()) {
      case ROTATE -> verbs.rotate("k");
      case ROTATE_IF_DUE -> verbs.rotateIfDue("k");
      case ROLLBACK -> verbs.rollback("k");
      case SET_POLICY ->
          verbs.setRotationPolicy("k", RotationPolicy.manual().afterMessages((1L << 17) + version));
      case HOLD -> verbs.placeHold("k", "case " + version);
      case RELEASE -> verbs.releaseHold("k");
      case SCHEDULE_DESPITE_USE -> verbs.scheduleDestructionDespiteUse("k", version, "spilled");
      case EXPIRE ->
          verbs.setExpiry(
              "k",
              version,
              rig.time.instant().truncatedTo(ChronoUnit.SECONDS).plus(Duration.ofDays(20)));
      case KEEP -> verbs.removeExpiry("k", version);
      case DESTROY_DUE -> verbs.due().destroy("k", null).keyset();
      case USE -> {
        UsageMeter meter = rig.open("k").meter(keyset, keyset.primary());
        if (meter != null) {
          Rig.encrypt(meter, 1 << 15, 1);
        }
        rig.runBackground();
        yield verbs.get("k");
      }
      case PUBLISH -> verbs.publish("k");
      case PROMOTE -> verbs.promote("k", version);
      case DISABLE -> verbs.disable("k", version);
      case ENABLE -> verbs.enable("k", version);
      case COMPROMISE -> verbs.compromise("k", version);
      case SCHEDULE -> verbs.scheduleDestruction("k", version);
      case CANCEL -> verbs.cancelDestruction("k", version);
      case DESTROY -> verbs.destroy("k", version);
      case SCHEDULE_ALL -> verbs.scheduleDestruction("k");
      case CANCEL_ALL -> verbs.cancelDestruction("k");
      case DESTROY_ALL -> verbs.destroy("k");
      case MOVE -> verbs.moveToRootKey("k", rig.root);
      case WAIT -> {
        rig.time.advance(Duration.ofDays(31));
        yield keyset;
      }
    };
  }

  private static void assertRules(Keyset before, Keyset after) {
    assertTrue(after.revision() == before.revision() || after.revision() == before.revision() + 1);
    assertTrue(after.versions().size() >= before.versions().size(), "versions never vanish");
    assertTrue(after.version(after.primary()).isPresent());
    KeyState primary = after.version(after.primary()).orElseThrow().state();
    assertTrue(primary != KeyState.PENDING);
    assertTrue(after.version(after.primary()).orElseThrow().primaryAt().isPresent());
    assertTrue(
        before.primary() == after.primary()
            || after.previousPrimary().orElseThrow() == before.primary());
    assertTrue(primary != KeyState.DESTROYED || after.isDestroyed());
    for (int i = 0; i < after.versions().size(); i++) {
      KeyVersion version = after.versions().get(i);
      assertEquals(i + 1, version.number());
      boolean destroyed = version.state() == KeyState.DESTROYED;
      assertEquals(destroyed, version.rootKeyId().isEmpty(), "destroyed has no material");
      assertEquals(destroyed, version.destroyedAt().isPresent());
      assertEquals(
          version.state() == KeyState.DESTRUCTION_SCHEDULED, version.destroyAt().isPresent());
      before
          .version(version.number())
          .ifPresent(
              old -> {
                assertTrue(
                    old.state() == version.state() || old.state().canBecome(version.state()),
                    old + " to " + version);
                assertTrue(
                    before.hold().isEmpty()
                        || version.state() == old.state()
                        || (version.state() != KeyState.DESTROYED
                            && version.state() != KeyState.DESTRUCTION_SCHEDULED),
                    "a hold holds");
                assertTrue(old.messages() <= version.messages(), "use is never forgotten");
                assertTrue(!old.isCompromised() || version.isCompromised(), "the mark stays");
                assertTrue(
                    !old.isCompromised() || !version.state().allows(KeyUse.DECRYPT),
                    "compromised never decrypts again");
              });
    }
  }

  private static void assertSameInAFreshProcess(Rig rig, Keyset keyset) {
    Keyset read = rig.process().open(KeysetId.of("k")).snapshot(0);
    assertEquals(keyset.revision(), read.revision());
    assertEquals(keyset.primary(), read.primary());
    assertEquals(keyset.versions(), read.versions());
  }
}
