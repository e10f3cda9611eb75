package dev.sealwax.kms.rootkey;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.ACCESS_DENIED;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.DISABLED;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.INTERNAL;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.INVALID_CIPHERTEXT;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.NOT_FOUND;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNAVAILABLE;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNSUPPORTED;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.testkit.FaultyRootKey;
import dev.sealwax.kms.testkit.FaultyRootKey.Fault;
import dev.sealwax.kms.testkit.ForwardingRootKey;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.GuardHealth;
import dev.sealwax.kms.vocabulary.GuardPolicy;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.RootKeyException;
import dev.sealwax.kms.vocabulary.RootKeyException.Reason;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(120)
final class QuorumRootKeyTest {
  private static final EncryptionContext CONTEXT = EncryptionContext.of("keyset", "orders");
  private static final byte[] SECRET = {1, 2, 3, 4, 5};
  private static final Duration SHORT = Duration.ofMillis(50);
  // Longer than a busy machine keeps a thread waiting.
  private static final Duration SLOWLY = Duration.ofSeconds(2);
  private static final Duration LONG = Duration.ofMinutes(1);
  // The order in which one failure stands for several.
  private static final List<Reason> ORDER =
      List.of(
          DISABLED,
          ACCESS_DENIED,
          UNAVAILABLE,
          Reason.THROTTLED,
          INTERNAL,
          UNSUPPORTED,
          INVALID_CIPHERTEXT,
          NOT_FOUND);

  private final FaultyRootKey first = FaultyRootKey.around(TestRootKeys.inMemory());
  private final FaultyRootKey second = FaultyRootKey.around(TestRootKeys.inMemory());
  private final FaultyRootKey third = FaultyRootKey.around(TestRootKeys.inMemory());
  private final List<FaultyRootKey> keys = List.of(first, second, third);
  private final AtomicLong nanos = new AtomicLong();
  private final CountDownLatch release = new CountDownLatch(1);

  private QuorumRootKey quorum(int required, Duration patience, Duration deadline) {
    QuorumRootKey.Builder builder =
        QuorumRootKey.builder()
            .required(required)
            .patience(patience)
            .deadline(deadline)
            .nanoClock(nanos::get);
    keys.forEach(key -> builder.member(notClosing(key)));
    return builder.build();
  }

  private QuorumRootKey quorum(int required) {
    return quorum(required, LONG, LONG);
  }

  @AfterEach
  void endHangingCalls() {
    release.countDown();
  }

  private static WrappedKey wrap(RootKey rootKey) {
    return wrap(rootKey, RootKeyRule.any());
  }

  private static WrappedKey wrap(RootKey rootKey, RootKeyRule rule) {
    try (KeyMaterial key = KeyMaterial.copyOf(SECRET)) {
      return rootKey.wrap(key, CONTEXT, rule);
    }
  }

  private static void assertOpens(RootKey rootKey, WrappedKey wrapped) {
    try (KeyMaterial opened = QuorumRootKey.unwrapBy(rootKey, wrapped, CONTEXT)) {
      assertArrayEquals(SECRET, opened.use(byte[]::clone));
    }
  }

  private static RootKeyException failureOf(Runnable call) {
    return assertThrows(RootKeyException.class, call::run);
  }

  private void heal() {
    keys.forEach(key -> key.always(Fault.NONE));
  }

  private static RootKeyId id(RootKey rootKey) {
    return rootKey.currentKeyId();
  }

  @Test
  void wrap_byAll_opensUnderEachAlone() {
    try (QuorumRootKey quorum = quorum(2)) {
      WrappedKey wrapped = wrap(quorum);
      assertEquals(quorum.currentKeyId(), wrapped.rootKeyId());
      assertEquals(keys.stream().map(RootKey::currentKeyId).toList(), wrapped.holders());
      assertEquals(List.of(), wrapped.missingHolders());
      for (FaultyRootKey alone : keys) {
        assertOpens(alone, wrapped);
        assertOpens(RoutingRootKey.of(TestRootKeys.inMemory(), notClosing(alone)), wrapped);
        assertOpens(QuorumRootKey.builder().member(notClosing(alone)).build(), wrapped);
      }
    }
  }

  private static RootKey notClosing(RootKey rootKey) {
    return new ForwardingRootKey(rootKey) {
      @Override
      public void close() {}
    };
  }

  /**
   * Every set of failing root keys, every number required, every two reasons: who wraps is
   * recorded, who does not is missing, and too few is a failure with the first of the reasons.
   * Cites QRM-6.
   */
  @Test
  void wrap_withEveryFailingSetForEveryReasons_recordsWhoIsMissingOrFails() {
    for (int required = 1; required <= 3; required++) {
      try (QuorumRootKey quorum = quorum(required)) {
        for (Set<Integer> failing : subsets()) {
          for (Reason one : Reason.values()) {
            for (Reason other : Reason.values()) {
              List<Reason> reasons = fail(failing, one, other);
              if (3 - failing.size() < required) {
                assertEquals(expected(reasons), failureOf(() -> wrap(quorum)).reason());
                continue;
              }
              WrappedKey wrapped = wrap(quorum);
              List<RootKeyId> missing = failing.stream().map(i -> id(keys.get(i))).toList();
              assertEquals(missing, wrapped.missingHolders());
              assertEquals(3 - failing.size(), wrapped.holders().size());
              heal();
              assertOpens(quorum, wrapped);
              for (int i = 0; i < 3; i++) {
                FaultyRootKey alone = keys.get(i);
                if (failing.contains(i)) {
                  assertEquals(NOT_FOUND, failureOf(() -> assertOpens(alone, wrapped)).reason());
                } else {
                  assertOpens(alone, wrapped);
                }
              }
            }
          }
        }
      }
    }
  }

  @Test
  void unwrap_withEveryFailingSetForEveryReasons_opensOrTellsTheFirstReason() {
    try (QuorumRootKey quorum = quorum(3)) {
      WrappedKey wrapped = wrap(quorum);
      for (Set<Integer> failing : subsets()) {
        for (Reason one : Reason.values()) {
          for (Reason other : Reason.values()) {
            List<Reason> reasons = fail(failing, one, other);
            if (failing.size() < 3) {
              assertOpens(quorum, wrapped);
            } else {
              RootKeyException failure = failureOf(() -> quorum.unwrap(wrapped, CONTEXT));
              assertEquals(expected(reasons), failure.reason(), reasons.toString());
              keys.forEach(
                  key -> assertTrue(failure.getMessage().contains(id(key).value()), "all named"));
            }
            heal();
          }
        }
      }
    }
  }

  private static List<Set<Integer>> subsets() {
    List<Set<Integer>> subsets = new ArrayList<>();
    for (int bits = 0; bits < 8; bits++) {
      Set<Integer> subset = new HashSet<>();
      for (int i = 0; i < 3; i++) {
        if ((bits >> i & 1) != 0) {
          subset.add(i);
        }
      }
      subsets.add(subset);
    }
    return subsets;
  }

  private List<Reason> fail(Set<Integer> failing, Reason one, Reason other) {
    heal();
    List<Reason> reasons = new ArrayList<>();
    for (int i : failing) {
      reasons.add(reasons.isEmpty() ? one : other);
      keys.get(i).always(Fault.failing(reasons.get(reasons.size() - 1)));
    }
    return reasons;
  }

  private static Reason expected(List<Reason> reasons) {
    return ORDER.stream().filter(reasons::contains).findFirst().orElseThrow();
  }

  @Test
  void unwrap_whileAllAreWell_asksTheFirstOnly() {
    try (QuorumRootKey quorum = quorum(3)) {
      assertOpens(quorum, wrap(quorum));
      assertEquals(List.of(1, 0, 0), keys.stream().map(FaultyRootKey::unwraps).toList());
    }
  }

  @Test
  void unwrap_afterAnOutageOfTheFirst_asksItLastForAWhile() {
    try (QuorumRootKey quorum = quorum(3)) {
      WrappedKey wrapped = wrap(quorum);
      first.always(Fault.failing(UNAVAILABLE));
      assertOpens(quorum, wrapped);
      assertOpens(quorum, wrapped);
      assertEquals(List.of(1, 2, 0), keys.stream().map(FaultyRootKey::unwraps).toList());
      assertTrue(quorum.health().get(0).isSuspect());
      assertEquals(UNAVAILABLE, quorum.health().get(0).lastFailure().orElseThrow());
      heal();
      nanos.addAndGet(QuorumMember.SUSPECT_FOR.toNanos());
      assertOpens(quorum, wrapped);
      assertEquals(List.of(2, 2, 0), keys.stream().map(FaultyRootKey::unwraps).toList());
      assertFalse(quorum.health().get(0).isSuspect());
    }
  }

  @Test
  void unwrap_whileTheFirstHangs_asksTheNextBesideIt() {
    try (QuorumRootKey quorum = quorum(3, SHORT, LONG)) {
      WrappedKey wrapped = wrap(quorum);
      first.always(Fault.hangingDeaf(release));
      second.always(Fault.failing(ACCESS_DENIED));
      assertOpens(quorum, wrapped);
      // Its thread may begin late, and it is blamed for the time that it has had.
      for (int i = 0; i < 20 && !quorum.health().get(0).isSuspect(); i++) {
        assertOpens(quorum, wrapped);
      }
      assertTrue(quorum.health().get(0).isSuspect(), "asked last from now on");
      assertFalse(quorum.health().get(1).isSuspect(), "a refusal is no outage");
    }
  }

  /** An answer that comes when nobody waits any more shows that it is slow. */
  @Test
  void unwrap_whileTheFirstIsSlow_waitsForItOnce() throws InterruptedException {
    Duration patience = SHORT.multipliedBy(10);
    try (QuorumRootKey quorum = quorum(3, patience, LONG)) {
      WrappedKey wrapped = wrap(quorum);
      first.always(Fault.delaying(patience.multipliedBy(3)));
      assertOpens(quorum, wrapped);
      assertEquals(1, first.unwraps());
      // At the latest when it answers: its thread may have begun late.
      awaitSuspect(quorum);
      while (first.underWay() > 0) {
        Thread.sleep(1);
      }
      for (int i = 0; i < 5; i++) {
        assertOpens(quorum, wrapped);
      }
      assertEquals(1, first.unwraps());
      nanos.addAndGet(QuorumMember.SUSPECT_FOR.toNanos());
      assertOpens(quorum, wrapped);
      assertOpens(quorum, wrapped);
      assertEquals(2, first.unwraps(), "one caller finds out whether it is better");
    }
  }

  /** Half of the time that is left comes before the patience ends. */
  @Test
  void unwrap_withALongPatience_blamesWhoWasGivenHalfOfTheTime() throws InterruptedException {
    try (QuorumRootKey patient = quorum(3);
        QuorumRootKey quorum = quorum(3, Duration.ofHours(1), SHORT.multipliedBy(20))) {
      WrappedKey wrapped = wrap(patient);
      first.always(Fault.hangingDeaf(release));
      assertOpens(quorum, wrapped);
      awaitSuspect(quorum);
    }
  }

  /** The caller was interrupted long before the first had had its time. */
  private void leaveTheFirstEarly(QuorumRootKey quorum, WrappedKey wrapped) throws Exception {
    int before = first.unwraps();
    Thread caller = new Thread(() -> failureOf(() -> quorum.unwrap(wrapped, CONTEXT)));
    caller.start();
    while (first.unwraps() == before) {
      Thread.sleep(1);
    }
    caller.interrupt();
    caller.join();
  }

  @Test
  void unwrap_leftEarlyByItsCaller_blamesTheFirstOnceItHasHadItsTime() throws Exception {
    try (QuorumRootKey quorum = quorum(3, SLOWLY, LONG)) {
      WrappedKey wrapped = wrap(quorum);
      first.next(Fault.hangingDeaf(release));
      long begun = System.nanoTime();
      leaveTheFirstEarly(quorum, wrapped);
      assertEquals(List.of(1, 0, 0), keys.stream().map(FaultyRootKey::unwraps).toList());
      awaitSuspect(quorum); // it never answers
      assertTrue(System.nanoTime() - begun >= SLOWLY.toNanos());
      assertEquals(1, quorum.health().get(0).failures());
      assertOpens(quorum, wrapped);
      assertEquals(List.of(1, 1, 0), keys.stream().map(FaultyRootKey::unwraps).toList());
    }
  }

  @Test
  void unwrap_thatIsRefusedTooLate_blamesTheFirstAllTheSame() throws Exception {
    try (QuorumRootKey quorum = quorum(3, SHORT, LONG)) {
      WrappedKey wrapped = wrap(quorum);
      first.next(Fault.hangingDeaf(release).then(Fault.failing(ACCESS_DENIED)));
      leaveTheFirstEarly(quorum, wrapped);
      Thread.sleep(SHORT.multipliedBy(2).toMillis());
      release.countDown();
      while (first.underWay() > 0) {
        Thread.sleep(1);
      }
      Thread.sleep(SHORT.toMillis()); // nobody looks until it is judged by its answer
      assertTrue(quorum.health().get(0).isSuspect());
      assertEquals(1, quorum.health().get(0).failures());
    }
  }

  /** A call that got lost on the way says nothing of a root key that answers all others. */
  @Test
  void unwrap_thatIsLateAmongGoodOnes_isCountedAndNotHeldAgainstTheFirst() throws Exception {
    try (QuorumRootKey quorum = quorum(3, SLOWLY, LONG)) {
      WrappedKey wrapped = wrap(quorum);
      first.next(Fault.hangingDeaf(release));
      leaveTheFirstEarly(quorum, wrapped);
      assertOpens(quorum, wrapped);
      while (quorum.health().get(0).failures() == 0) {
        Thread.sleep(1);
      }
      assertFalse(quorum.health().get(0).isSuspect());
      assertOpens(quorum, wrapped);
      assertEquals(List.of(3, 0, 0), keys.stream().map(FaultyRootKey::unwraps).toList());
    }
  }

  private static void awaitSuspect(QuorumRootKey quorum) throws InterruptedException {
    while (!quorum.health().get(0).isSuspect()) {
      Thread.sleep(1);
    }
  }

  @Test
  void unwrap_withLessTimeThanPatience_stillAsksEveryone() {
    try (QuorumRootKey patient = quorum(3);
        QuorumRootKey quorum = quorum(3, LONG, SHORT.multipliedBy(20))) {
      WrappedKey wrapped = wrap(patient);
      first.always(Fault.hangingDeaf(release));
      second.always(Fault.hangingDeaf(release));
      assertOpens(quorum, wrapped);
    }
  }

  @Test
  void wrap_thatCannotSucceedAnyMore_waitsWithPatience() {
    try (QuorumRootKey quorum = quorum(2, SHORT, Duration.ofHours(1))) {
      first.always(Fault.failing(ACCESS_DENIED));
      second.always(Fault.failing(ACCESS_DENIED));
      third.always(Fault.hangingDeaf(release));
      assertEquals(ACCESS_DENIED, failureOf(() -> wrap(quorum)).reason());
    }
  }

  @Test
  void wrap_byAMemberThatTakesAllTheRoom_isThatMembersFailure() {
    RootKey greedy =
        new ForwardingRootKey(notClosing(first)) {
          @Override
          public WrappedKey wrap(KeyMaterial key, EncryptionContext context) {
            return WrappedKey.of(currentKeyId(), new byte[WrappedKey.MAX_BYTES]);
          }
        };
    try (QuorumRootKey quorum =
        QuorumRootKey.builder().member(greedy).member(second).member(third).build()) {
      WrappedKey wrapped = wrap(quorum);
      assertEquals(List.of(id(first)), wrapped.missingHolders());
      assertOpens(quorum, wrapped);
    }
  }

  @Test
  void wrap_byAMemberThatAnswersAsAnother_isThatMembersFailure() {
    RootKey impostor =
        new ForwardingRootKey(notClosing(first)) {
          @Override
          public WrappedKey wrap(KeyMaterial key, EncryptionContext context) {
            return WrappedKey.of(id(second), super.wrap(key, context).ciphertext());
          }
        };
    try (QuorumRootKey quorum =
        QuorumRootKey.builder().member(impostor).member(second).member(third).build()) {
      WrappedKey wrapped = wrap(quorum);
      assertEquals(List.of(id(first)), wrapped.missingHolders());
      assertOpens(quorum, wrapped);
    }
  }

  @Test
  void wrapAndUnwrap_whenAMemberLacksAClass_askTheOthers() {
    RootKey broken =
        new ForwardingRootKey(notClosing(first)) {
          @Override
          public WrappedKey wrap(KeyMaterial key, EncryptionContext context) {
            throw new NoClassDefFoundError("a provider's");
          }

          @Override
          public KeyMaterial unwrap(WrappedKey wrapped, EncryptionContext context) {
            throw new NoClassDefFoundError("a provider's");
          }
        };
    try (QuorumRootKey well = quorum(3);
        QuorumRootKey quorum =
            QuorumRootKey.builder().member(broken).member(second).member(third).build()) {
      assertEquals(List.of(id(first)), wrap(quorum).missingHolders());
      assertOpens(quorum, wrap(well));
    }
  }

  /** A holder beside a quorum, behind the same routing. */
  @Test
  void unwrapBy_ofARoutingRootKey_asksEveryHolder() {
    WrappedKey wrapped;
    try (QuorumRootKey former =
        QuorumRootKey.builder().member(notClosing(second)).member(notClosing(third)).build()) {
      wrapped = wrap(former);
    }
    RootKey routing =
        RoutingRootKey.of(
            QuorumRootKey.builder().member(notClosing(first)).member(notClosing(second)).build(),
            notClosing(third));
    try (routing) {
      assertOpens(routing, wrapped);
      second.always(Fault.failing(UNAVAILABLE));
      assertOpens(routing, wrapped);
      third.always(Fault.failing(NOT_FOUND));
      assertEquals(UNAVAILABLE, failureOf(() -> assertOpens(routing, wrapped)).reason());
    }
  }

  /** "Not mine" is no sign of life of a service that is down. */
  @Test
  void unwrapBy_ofAGuardedMember_opensItsCircuit() {
    try (QuorumRootKey quorum = quorum(2);
        ResilientRootKey alone =
            ResilientRootKey.around(
                notClosing(second),
                GuardPolicy.defaults().withAttempts(1, LONG).withCircuit(4, LONG))) {
      WrappedKey wrapped = wrap(quorum);
      assertOpens(alone, wrapped);
      second.always(Fault.failing(UNAVAILABLE));
      int calls = second.unwraps();
      for (int i = 0; i < 20; i++) {
        assertEquals(UNAVAILABLE, failureOf(() -> assertOpens(alone, wrapped)).reason());
      }
      assertEquals(GuardHealth.Circuit.OPEN, alone.health().circuit());
      assertTrue(second.unwraps() - calls < 20, (second.unwraps() - calls) + " calls");
    }
  }

  @Test
  void rule_passesTheGuard() {
    try (ResilientRootKey guarded = ResilientRootKey.around(notClosing(first));
        ResilientRootKey around =
            ResilientRootKey.around(
                QuorumRootKey.builder()
                    .member(notClosing(second), "zone=a")
                    .member(notClosing(third), "zone=b")
                    .required(1)
                    .build())) {
      assertEquals(Set.of("provider=local", "protection=software"), guarded.tags());
      assertEquals(
          UNSUPPORTED,
          failureOf(() -> wrap(guarded, RootKeyRule.any().forbidding("protection=software")))
              .reason());
      assertEquals(
          List.of(id(second)), wrap(around, RootKeyRule.any().forbidding("zone=b")).holders());
    }
  }

  /** The late secret must not stay in memory for good, and the late call not for nobody. */
  @Test
  void unwrap_thatComesTooLate_isWiped() throws InterruptedException {
    List<KeyMaterial> late = new ArrayList<>();
    CountDownLatch returned = new CountDownLatch(1);
    RootKey slow =
        new ForwardingRootKey(first) {
          @Override
          public KeyMaterial unwrap(WrappedKey wrapped, EncryptionContext context) {
            try {
              release.await();
            } catch (InterruptedException e) {
              throw new AssertionError(e);
            }
            KeyMaterial key = super.unwrap(wrapped, context);
            late.add(key);
            returned.countDown();
            return key;
          }
        };
    try (QuorumRootKey quorum =
        QuorumRootKey.builder().member(slow).member(second).patience(SHORT).build()) {
      assertOpens(quorum, wrap(quorum));
      release.countDown();
      returned.await();
      for (long end = System.nanoTime() + LONG.toNanos(); !isClosed(late.get(0)); ) {
        assertTrue(System.nanoTime() < end, "never wiped");
        Thread.sleep(5);
      }
    }
  }

  private static boolean isClosed(KeyMaterial key) {
    try {
      key.use(bytes -> bytes);
      return false;
    } catch (IllegalStateException e) {
      return true;
    }
  }

  @Test
  void unwrap_whileAllHang_failsAtTheDeadline() {
    try (QuorumRootKey patient = quorum(3);
        QuorumRootKey quorum = quorum(3, SHORT, SHORT.multipliedBy(4))) {
      WrappedKey wrapped = wrap(patient);
      keys.forEach(key -> key.always(Fault.hangingDeaf(release)));
      assertEquals(UNAVAILABLE, failureOf(() -> quorum.unwrap(wrapped, CONTEXT)).reason());
      assertEquals(UNAVAILABLE, failureOf(() -> wrap(quorum)).reason());
    }
  }

  @Test
  void wrap_whileOneHangs_waitsForItWithPatience() {
    try (QuorumRootKey quorum = quorum(2, SHORT, LONG)) {
      second.always(Fault.hangingDeaf(release));
      WrappedKey wrapped = wrap(quorum);
      assertEquals(List.of(id(second)), wrapped.missingHolders());
      assertOpens(quorum, wrapped);
    }
  }

  /** What nobody waits for any more is not done, and holds no copy of the key. */
  @Test
  void wrap_whileAllThreadsOfAMemberHang_leavesNothingBehind() throws InterruptedException {
    int calls = 100; // more than it has threads
    try (QuorumRootKey quorum = quorum(2, Duration.ofMillis(5), LONG)) {
      first.always(Fault.hangingDeaf(release));
      for (int i = 0; i < calls; i++) {
        assertEquals(List.of(id(first)), wrap(quorum).missingHolders());
      }
      release.countDown();
      while (first.underWay() > 0) {
        Thread.sleep(1);
      }
      assertTrue(first.wraps() < calls, first.wraps() + " wraps for " + calls + " calls");
    }
  }

  @Test
  void wrapAndUnwrap_ofAnInterruptedCaller_failAndStayInterrupted() {
    try (QuorumRootKey quorum = quorum(3)) {
      WrappedKey wrapped = wrap(quorum);
      keys.forEach(key -> key.always(Fault.hangingDeaf(release)));
      Thread.currentThread().interrupt();
      assertEquals(UNAVAILABLE, failureOf(() -> wrap(quorum)).reason());
      assertTrue(Thread.interrupted());
      Thread.currentThread().interrupt();
      assertEquals(UNAVAILABLE, failureOf(() -> quorum.unwrap(wrapped, CONTEXT)).reason());
      assertTrue(Thread.interrupted());
    }
  }

  /** Cites QRM-4. */
  @Test
  void unwrap_ofAWrongAnswer_isNotBelieved() {
    try (QuorumRootKey quorum = quorum(3);
        KeyMaterial other = KeyMaterial.copyOf(new byte[QuorumWrap.SHARE_KEY_BYTES])) {
      WrappedKey wrapped = wrap(quorum);
      first.always(Fault.answeringWrongly());
      second.always(Fault.answeringWith(other));
      assertOpens(quorum, wrapped);
      third.always(Fault.answeringWith(other));
      assertEquals(INVALID_CIPHERTEXT, failureOf(() -> quorum.unwrap(wrapped, CONTEXT)).reason());
    }
  }

  @Test
  void unwrap_whenARootKeyThrowsWhatItMustNot_asksTheNext() {
    RootKey broken =
        new ForwardingRootKey(first) {
          @Override
          public KeyMaterial unwrap(WrappedKey wrapped, EncryptionContext context) {
            throw new UnsupportedOperationException("broken");
          }
        };
    try (QuorumRootKey quorum = QuorumRootKey.builder().member(broken).member(second).build()) {
      WrappedKey wrapped = wrap(quorum);
      assertOpens(quorum, wrapped);
      second.always(Fault.failing(NOT_FOUND));
      assertEquals(INTERNAL, failureOf(() -> quorum.unwrap(wrapped, CONTEXT)).reason());
    }
  }

  @Test
  void unwrap_ofWhatAMemberWrappedByItself_opens() {
    try (QuorumRootKey quorum = quorum(2)) {
      assertOpens(quorum, wrap(third));
      assertEquals(0, first.unwraps() + second.unwraps());
      try (RootKey stranger = TestRootKeys.inMemory()) {
        WrappedKey wrapped = wrap(stranger);
        assertEquals(NOT_FOUND, failureOf(() -> quorum.unwrap(wrapped, CONTEXT)).reason());
      }
    }
  }

  @Test
  void unwrap_byAQuorumThatHasChanged_opens() {
    WrappedKey wrapped;
    try (QuorumRootKey before =
        QuorumRootKey.builder().member(notClosing(first)).member(notClosing(second)).build()) {
      wrapped = wrap(before);
    }
    try (QuorumRootKey after = QuorumRootKey.builder().member(third).member(second).build()) {
      assertNotEquals(wrapped.rootKeyId(), after.currentKeyId());
      assertOpens(after, wrapped);
    }
    try (QuorumRootKey stranger = QuorumRootKey.builder().member(TestRootKeys.inMemory()).build()) {
      assertEquals(NOT_FOUND, failureOf(() -> stranger.unwrap(wrapped, CONTEXT)).reason());
    }
  }

  @Test
  void currentKeyId_isTheSameInAnyOrder() {
    try (QuorumRootKey one = QuorumRootKey.builder().member(first).member(second).build();
        QuorumRootKey other = QuorumRootKey.builder().member(second).member(first).build();
        QuorumRootKey more = quorum(2)) {
      assertEquals(one.currentKeyId(), other.currentKeyId());
      assertNotEquals(one.currentKeyId(), more.currentKeyId());
    }
  }

  @Test
  void wrap_underARule_isByTheRootKeysItAdmits() {
    try (QuorumRootKey quorum =
        QuorumRootKey.builder()
            .member(first, "zone=eu")
            .member(second, "zone=eu", "owner=us")
            .member(third, "zone=us")
            .required(1)
            .build()) {
      assertEquals(Set.of("provider=local", "protection=software"), quorum.tags());
      RootKeyRule european = RootKeyRule.any().requiring("zone=eu");
      WrappedKey wrapped = wrap(quorum, european);
      assertEquals(List.of(id(first), id(second)), wrapped.holders());
      assertEquals(List.of(), wrapped.missingHolders(), "whom the rule excludes is not missing");
      assertEquals(quorum.currentKeyId(), wrapped.rootKeyId());
      assertOpens(quorum, wrapped);
      assertEquals(List.of(id(first)), wrap(quorum, european.forbidding("owner=us")).holders());
      assertEquals(0, third.wraps());
      assertEquals(
          UNSUPPORTED,
          failureOf(() -> wrap(quorum, RootKeyRule.any().forbidding("provider=local"))).reason());
    }
  }

  /** Cites QRM-5. */
  @Test
  void unwrap_ofEveryFlippedBit_isInvalid() {
    try (QuorumRootKey quorum = quorum(2, LONG, LONG)) {
      second.always(Fault.failing(UNAVAILABLE));
      WrappedKey wrapped = wrap(quorum);
      heal();
      byte[] bytes = wrapped.ciphertext();
      for (int bit = 0; bit < 8 * bytes.length; bit++) {
        bytes[bit / 8] ^= (byte) (1 << bit % 8);
        WrappedKey altered = WrappedKey.of(wrapped.rootKeyId(), bytes);
        assertEquals(
            INVALID_CIPHERTEXT,
            failureOf(() -> quorum.unwrap(altered, CONTEXT)).reason(),
            "bit " + bit);
        for (RootKey alone : List.of(first, third)) {
          Reason reason = failureOf(() -> QuorumRootKey.unwrapBy(alone, altered, CONTEXT)).reason();
          // A share that is called missing is nowhere to be found.
          assertTrue(reason == INVALID_CIPHERTEXT || reason == NOT_FOUND, bit + ": " + reason);
        }
        bytes[bit / 8] ^= (byte) (1 << bit % 8);
      }
    }
  }

  @Test
  void holders_ofNoise_areTheQuorumItself() {
    WrappedKey noise = WrappedKey.of(RootKeyId.of("quorum:x"), new byte[] {1, 1, 0, 4});
    assertEquals(List.of(RootKeyId.of("quorum:x")), noise.holders());
    assertEquals(List.of(), noise.missingHolders());
  }

  @Test
  void wrap_ofMoreThanFits_isRefusedBeforeACall() {
    QuorumRootKey.Builder builder = QuorumRootKey.builder().required(1);
    IntStream.range(0, QuorumRootKey.MAX_MEMBERS)
        .forEach(i -> builder.member(named("long:" + i + "x".repeat(500))));
    try (QuorumRootKey quorum = builder.build();
        KeyMaterial most = KeyMaterial.copyOf(new byte[KeyMaterial.MAX_BYTES])) {
      assertEquals(UNSUPPORTED, failureOf(() -> quorum.wrap(most, CONTEXT)).reason());
    }
  }

  private RootKey named(String name) {
    return new ForwardingRootKey(TestRootKeys.inMemory()) {
      @Override
      public RootKeyId currentKeyId() {
        return RootKeyId.of(name);
      }

      @Override
      public WrappedKey wrap(KeyMaterial key, EncryptionContext context) {
        return WrappedKey.of(currentKeyId(), super.wrap(key, context).ciphertext());
      }
    };
  }

  @Test
  void close_closesEveryRootKeyAndRefusesCalls() {
    QuorumRootKey.Builder builder = QuorumRootKey.builder();
    keys.forEach(builder::member);
    QuorumRootKey quorum = builder.build();
    WrappedKey wrapped = wrap(quorum);
    quorum.close();
    quorum.close();
    keys.forEach(key -> assertEquals(1, key.closes()));
    assertThrows(IllegalStateException.class, () -> wrap(quorum));
    assertThrows(IllegalStateException.class, () -> quorum.unwrap(wrapped, CONTEXT));
    assertEquals(3, quorum.health().size());
  }

  @Test
  void builder_refusesWhatIsNoQuorum() {
    QuorumRootKey.Builder builder = QuorumRootKey.builder();
    assertThrows(IllegalArgumentException.class, builder::build);
    assertThrows(IllegalArgumentException.class, () -> builder.required(0));
    assertThrows(IllegalArgumentException.class, () -> builder.required(9));
    assertThrows(IllegalArgumentException.class, () -> builder.patience(Duration.ZERO));
    assertThrows(IllegalArgumentException.class, () -> builder.deadline(Duration.ofDays(1)));
    assertThrows(IllegalArgumentException.class, () -> builder.member(first, "no spaces"));
    builder.member(first);
    assertThrows(IllegalArgumentException.class, () -> builder.member(first));
    assertThrows(IllegalArgumentException.class, () -> builder.required(2).build());
    try (QuorumRootKey quorum = builder.required(1).build()) {
      assertThrows(IllegalStateException.class, builder::build);
      assertThrows(IllegalArgumentException.class, () -> QuorumRootKey.builder().member(quorum));
    }
    assertEquals(1, first.closes());
  }

  @Test
  void rule_refusesWhatIsNoTag() {
    RootKeyRule any = RootKeyRule.any();
    for (String bad : Arrays.asList("", "a b", "\u00e9", "x".repeat(129), "a\n")) {
      assertThrows(IllegalArgumentException.class, () -> any.requiring(bad));
      assertThrows(IllegalArgumentException.class, () -> any.forbidding(bad));
    }
    String[] many = IntStream.range(0, 17).mapToObj(i -> "tag" + i).toArray(String[]::new);
    assertThrows(IllegalArgumentException.class, () -> any.requiring(many));
    assertThrows(
        IllegalArgumentException.class, () -> any.requiring("a", "b").forbidding("c", "b"));
    assertEquals(any.requiring("b", "a", "b"), any.requiring("a").requiring("b"));
    assertTrue(any.requiring("a").forbidding("b").admits(Set.of("a", "c")));
    assertFalse(any.requiring("a").forbidding("b").admits(Set.of("a", "b")));
    assertFalse(any.requiring("a").admits(Set.of("c")));
  }
}
