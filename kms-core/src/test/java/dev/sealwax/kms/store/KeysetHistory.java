package dev.sealwax.kms.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * What all processes together have done to one keyset since it was created, and whether that is
 * linearizable: as if each call had happened at one moment between its start and its end.
 *
 * <p>Revisions give the order of the writes, so nothing has to be searched for. What is checked is
 * that they are a chain, that each is what its verb makes of the one before, that a look shows one
 * of them, that nobody is shown less than was known to anybody before the call, and that a refusal
 * has had its reason at some moment of the call.
 */
final class KeysetHistory {
  private final List<OperatorCall> calls;
  private final Map<Long, OperatorCall> writes = new HashMap<>();
  private final List<KeysetModel> revisions = new ArrayList<>(); // the first at 0

  private KeysetHistory(List<OperatorCall> calls) {
    this.calls = calls;
  }

  /**
   * Fails if the calls cannot have led to what is stored in the end.
   *
   * @param revision the stored one
   */
  static void check(List<OperatorCall> calls, long revision, KeysetModel stored) {
    KeysetHistory history = new KeysetHistory(calls);
    history.replay(revision, stored);
    history.checkOrder();
  }

  private void replay(long last, KeysetModel stored) {
    for (OperatorCall call : calls) {
      if (call.isWrite()) {
        OperatorCall other = writes.put(call.revision(), call);
        assertEquals(null, other, () -> "one of these is lost: " + call + "\n" + other);
      }
    }
    assertEquals(last - 1, writes.size(), "writes, of which each makes a revision");
    KeysetModel now = KeysetModel.created();
    revisions.add(now);
    for (long revision = 2; revision <= last; revision++) {
      OperatorCall write = writes.get(revision);
      assertTrue(write != null, "nobody has written revision " + revision);
      KeysetModel before = now;
      now =
          before
              .after(write.verb(), write.version())
              .orElseThrow(() -> new AssertionError(before + " does not allow " + write));
      assertEquals(now.toString(), write.states(), write::toString);
      revisions.add(now);
    }
    assertEquals(stored, now, "what is stored in the end");
  }

  private void checkOrder() {
    List<OperatorCall> byEnd = new ArrayList<>(calls);
    byEnd.sort(Comparator.comparingLong(OperatorCall::ended));
    List<OperatorCall> byStart = new ArrayList<>(calls);
    byStart.sort(Comparator.comparingLong(OperatorCall::started));
    int ended = 0;
    long known = 1; // what some call had shown before this one began
    for (OperatorCall call : byStart) {
      while (byEnd.get(ended).ended() < call.started()) {
        known = Math.max(known, byEnd.get(ended).revision());
        ended++;
      }
      if (call.isRefused()) {
        checkRefusal(call, known);
      } else if (call.isWrite()) {
        assertTrue(call.revision() > known, "began after revision " + known + ": " + call);
      } else {
        checkLook(call, known);
      }
    }
  }

  private void checkLook(OperatorCall look, long known) {
    assertTrue(look.revision() >= known, "shows less than revision " + known + ": " + look);
    assertTrue(canBeSeen(look.revision(), look.ended()), "shows what was not there yet: " + look);
    assertEquals(of(look.revision()).toString(), look.states(), look::toString);
  }

  private void checkRefusal(OperatorCall call, long known) {
    for (long revision = known; canBeSeen(revision, call.ended()); revision++) {
      if (of(revision).mayRefuse(call.verb(), call.version())) {
        return;
      }
    }
    throw new AssertionError("no state since revision " + known + " refuses this: " + call);
  }

  private boolean canBeSeen(long revision, long at) {
    return revision <= revisions.size() && (revision == 1 || writes.get(revision).started() < at);
  }

  private KeysetModel of(long revision) {
    return revisions.get((int) revision - 1);
  }
}
