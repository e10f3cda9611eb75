package dev.sealwax.kms.keyset;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.events.Announcer;
import dev.sealwax.kms.rootkey.RootKeyRule;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.testkit.ForwardingRootKey;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.KeysetCorruptedException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.RootKeyException;
import dev.sealwax.kms.vocabulary.RootKeyException.Reason;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What is asked of a root key, what is counted, and who hears of a denial. */
final class RootCallsTest {
  private static final KeysetId ORDERS = KeysetId.of("orders");

  private final ManualTime time = new ManualTime();
  private final ScriptedRootKey root = new ScriptedRootKey("test:one");
  private final List<String> denied = new ArrayList<>();
  // Answers in the place of the root key, if set.
  private @Nullable KeyMaterial answer;
  private boolean refusesToWrap;
  private final RootCalls calls =
      new RootCalls(
          new ForwardingRootKey(root) {
            @Override
            public KeyMaterial unwrap(WrappedKey wrapped, EncryptionContext context) {
              KeyMaterial instead = answer;
              return instead != null ? instead : super.unwrap(wrapped, context);
            }

            @Override
            public WrappedKey wrap(KeyMaterial secret, EncryptionContext context) {
              if (refusesToWrap) {
                ScriptedRootKey.fail();
              }
              return super.wrap(secret, context);
            }
          },
          new Announcer(null),
          time,
          (keyset, version, wrapped) -> denied.add(keyset + " " + version));
  private WrappedKey wrapped;

  private WrappedKey wrap() {
    try (DocumentKey documentKey = DocumentKey.random(new SecureRandom());
        VersionSecret secret = VersionSecret.generate(new SecureRandom(), documentKey)) {
      return calls.wrap(ORDERS, 1, secret, RootKeyRule.any());
    }
  }

  @BeforeEach
  void wrapOne() {
    wrapped = wrap();
  }

  @AfterEach
  void clearInterrupt() {
    Thread.interrupted();
  }

  private void unwrap() {
    calls.unwrap(ORDERS, 1, wrapped).close();
  }

  private void fails(Reason reason) {
    root.beforeUnwrap =
        () -> {
          throw new RootKeyException(reason, "scripted");
        };
  }

  private void works() {
    root.beforeUnwrap = () -> {};
  }

  private void assertFails(Reason reason) {
    assertEquals(reason, assertThrows(RootKeyException.class, this::unwrap).reason());
  }

  @Test
  void failure_answersForTheRootKeyDuringThePauseOnly() {
    fails(Reason.UNAVAILABLE);
    assertFails(Reason.UNAVAILABLE);
    works();
    time.advance(RootCalls.FAILURE_PAUSE.minusMillis(1));
    assertFails(Reason.UNAVAILABLE);
    assertEquals(1, root.unwraps.get());
    assertEquals(1, calls.failures(), "the second was no call");
    time.advance(RootCalls.FAILURE_PAUSE);
    unwrap();
    assertEquals(1, calls.unwraps());
  }

  /** Whoever asks again may hold what was unwrapped between the denial and now. */
  @Test
  void denial_isHeardAgainByWhoeverAsksDuringThePause() {
    fails(Reason.ACCESS_DENIED);
    assertFails(Reason.ACCESS_DENIED);
    assertEquals(List.of("orders 1"), denied);
    assertFails(Reason.ACCESS_DENIED);
    assertEquals(List.of("orders 1", "orders 1"), denied);
    assertEquals(1, root.unwraps.get());
  }

  @Test
  void outage_isNoDenial() {
    fails(Reason.UNAVAILABLE);
    assertFails(Reason.UNAVAILABLE);
    assertFails(Reason.UNAVAILABLE);
    assertEquals(List.of(), denied);
    assertFalse(calls.isSwitchedOff(ORDERS, 1, wrapped));
  }

  @Test
  void failureOnAnInterruptedThread_answersForNobodyElse() {
    fails(Reason.UNAVAILABLE);
    Thread.currentThread().interrupt();
    assertFails(Reason.UNAVAILABLE);
    assertTrue(Thread.interrupted());
    works();
    unwrap();
  }

  /** The answer to a call begun before is older than what was heard since. */
  @Test
  void disabledRootKey_staysSwitchedOffIfACallBegunBeforeSucceeds() {
    root.beforeUnwrap =
        () -> {
          fails(Reason.DISABLED);
          assertFails(Reason.DISABLED);
          works();
        };
    unwrap();
    assertTrue(calls.isSwitchedOff(ORDERS, 1, wrapped));
    time.advance(RootCalls.FAILURE_PAUSE);
    unwrap();
    assertFalse(calls.isSwitchedOff(ORDERS, 1, wrapped));
  }

  /** An answer that is repeated is no newer for that. */
  @Test
  void disabledRootKey_isOnAgainAfterALaterCall_whateverIsRepeatedMeanwhile() {
    WrappedKey other = wrap();
    fails(Reason.DISABLED);
    assertFails(Reason.DISABLED);
    root.beforeUnwrap = () -> assertFails(Reason.DISABLED);
    calls.unwrap(ORDERS, 1, other).close();
    assertEquals(2, root.unwraps.get(), "the repeated answer was no call");
    assertFalse(calls.isSwitchedOff(ORDERS, 1, wrapped));
  }

  @Test
  void disabledRootKey_isSwitchedOffUntilItUnwraps() {
    fails(Reason.DISABLED);
    assertFails(Reason.DISABLED);
    assertTrue(calls.isSwitchedOff(ORDERS, 1, wrapped));
    assertEquals(List.of("orders 1"), denied);
    fails(Reason.UNAVAILABLE);
    time.advance(RootCalls.FAILURE_PAUSE);
    assertFails(Reason.UNAVAILABLE);
    assertTrue(calls.isSwitchedOff(ORDERS, 1, wrapped), "an outage does not hide it");
    works();
    time.advance(RootCalls.FAILURE_PAUSE);
    unwrap();
    assertFalse(calls.isSwitchedOff(ORDERS, 1, wrapped));
  }

  @Test
  void materialOfAnotherLength_isRefusedAndWiped() {
    byte[] bytes = new byte[VersionSecret.BYTES - 1];
    bytes[0] = 1;
    answer = KeyMaterial.owning(bytes);
    KeysetCorruptedException failure = assertThrows(KeysetCorruptedException.class, this::unwrap);
    assertTrue(failure.getMessage().contains("63 bytes"), failure.getMessage());
    assertEquals(0, bytes[0]);
  }

  @Test
  void calls_areCountedByWhatBecameOfThem() {
    unwrap();
    refusesToWrap = true;
    assertThrows(RootKeyException.class, this::wrap);
    assertEquals(List.of(1L, 1L, 1L), List.of(calls.wraps(), calls.unwraps(), calls.failures()));
  }

  /** A root key to move to says nothing about what is in use, but its calls are calls. */
  @Test
  void anotherRootKey_sharesTheCountsAndDeniesNothing() {
    ScriptedRootKey other = new ScriptedRootKey("test:two");
    RootCalls target = calls.over(other);
    other.beforeUnwrap =
        () -> {
          throw new RootKeyException(Reason.ACCESS_DENIED, "scripted");
        };
    assertThrows(RootKeyException.class, () -> target.unwrap(ORDERS, 1, wrapped));
    assertEquals(List.of(), denied);
    assertEquals(1, calls.failures());
    assertEquals("test:two", target.currentKeyId().value());
  }
}
