package dev.sealwax.kms.keyset;

import dev.sealwax.kms.keyset.KeysetWriter.Proposal;
import dev.sealwax.kms.vocabulary.KmsEvent.Change;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * The changes that a policy or a date calls for, rather than an operator at this moment: steps of a
 * rotation, and destructions whose window is over. Each happens once, whichever process comes
 * first. Safe for any thread.
 */
final class DueChanges {
  private final KeysetChanges changes;
  private final UsageReports usage;
  private final RootCalls rootCalls;
  private final RootMove repair;

  DueChanges(KeysetChanges changes, UsageReports usage, RootCalls rootCalls, SecureRandom random) {
    this.changes = changes;
    this.usage = usage;
    this.rootCalls = rootCalls;
    this.repair = new RootMove(rootCalls, rootCalls, random);
  }

  /**
   * A keyset after a step of its rotation.
   *
   * @param step what this call, and no other process, has done
   */
  record Rotated(Keyset keyset, RotationStep step) {}

  /** Takes the next step of a rotation, as {@link Keysets#rotateIfDue} says. */
  Rotated rotate(String name) {
    Keyset keyset = changes.read(name);
    if (usage.decides(keyset, changes.now())) {
      usage.report(keyset);
      keyset = changes.read(name);
    }
    RotationStep step = RotationStep.of(keyset, changes.now());
    AtomicBoolean done = new AtomicBoolean();
    Keyset now =
        switch (step) {
          case NONE -> keyset;
          case PUBLISH ->
              changes.to(
                  name,
                  Change.PUBLISH,
                  "given a pending version, as its rotation is due",
                  s ->
                      ifStill(
                          step,
                          s,
                          done,
                          due -> changes.withNewVersion(due, KeysetChange::publish)));
          case PROMOTE ->
              changes.to(
                  name,
                  Change.PROMOTE,
                  "rotated, as that was due",
                  s -> ifStill(step, s, done, this::withWaitingVersionPromoted));
        };
    return new Rotated(now, done.get() ? step : RotationStep.NONE);
  }

  /** Proposes nothing if another process has taken the step meanwhile. */
  private Proposal ifStill(
      RotationStep step,
      Snapshot snapshot,
      AtomicBoolean done,
      Function<Snapshot, Proposal> proposal) {
    done.set(RotationStep.of(snapshot.keyset(), changes.now()) == step);
    return done.get()
        ? proposal.apply(snapshot)
        : new Proposal(snapshot.keyset(), KeysetChanges.documentKey(snapshot), null);
  }

  private Proposal withWaitingVersionPromoted(Snapshot snapshot) {
    Keyset keyset = snapshot.keyset();
    int waiting = RotationStep.waiting(keyset).orElseThrow().number();
    return new Proposal(
        KeysetChange.promote(keyset, waiting, changes.now()),
        KeysetChanges.documentKey(snapshot),
        null);
  }

  /**
   * A keyset after the destructions that were due.
   *
   * @param versions what this call, and no other process, has destroyed
   */
  record Destroyed(Keyset keyset, List<Integer> versions) {}

  /** Destroys what was scheduled and is due, as far as nothing keeps it. */
  Destroyed destroy(String name, @Nullable VersionUse inventory) {
    Keyset keyset = changes.read(name);
    DestructionGuard guard = DestructionGuard.at(changes.now()).asking(inventory);
    if (KeysetChange.destroyDue(keyset, guard) == keyset) {
      return new Destroyed(keyset, List.of());
    }
    List<Integer> gone = new ArrayList<>();
    Keyset after =
        changes.toAll(
            name,
            Change.DESTROY,
            "changed: what was due is destroyed",
            before -> {
              Keyset next = KeysetChange.destroyDue(before, guard);
              gone.clear();
              for (KeyVersion version : before.versions()) {
                if (!next.versions().contains(version)) {
                  gone.add(version.number());
                }
              }
              return next;
            });
    return new Destroyed(after, gone);
  }

  /**
   * A keyset after a repair.
   *
   * @param done whether this call, and no other process, has found root keys that were missing
   */
  record Repaired(Keyset keyset, boolean done) {}

  /** Has the missing root keys of a quorum wrap, as {@link Keysets#repairWraps} says. */
  Repaired repair(String name) {
    AtomicBoolean done = new AtomicBoolean();
    Keyset keyset =
        changes.to(
            name,
            Change.REPAIR_WRAPS,
            "wrapped anew by a quorum of which some were missing",
            snapshot -> {
              Proposal proposal = repair.repair(snapshot);
              done.set(proposal.next() != snapshot.keyset());
              return proposal;
            });
    return new Repaired(keyset, done.get());
  }

  /** Whether it is the quorum of this process that holds it, and some of its root keys do not. */
  boolean needsRepair(Keyset keyset) {
    return !keyset.isDestroyed() && RootMove.needsRepair(keyset, rootCalls.currentKeyId());
  }

  /** Whether a scheduler has anything to do with a keyset of that content. */
  boolean isAnythingDue(Keyset claimed) {
    if (claimed.isDestroyed()) {
      return false;
    }
    return claimed.isRotationDue(changes.now())
        || usage.decides(claimed, changes.now())
        || isDestructionDue(claimed);
  }

  private boolean isDestructionDue(Keyset keyset) {
    return keyset.hold().isEmpty()
        && keyset.versions().stream()
            .anyMatch(version -> KeysetChange.isDue(version, changes.now()));
  }

  /** Whether something is due that is not on its way. */
  boolean isOverdue(Keyset keyset) {
    return isAnythingDue(keyset)
        && !(RotationStep.isUnderWay(keyset, changes.now()) && !isDestructionDue(keyset));
  }
}
