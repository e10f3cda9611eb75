package dev.sealwax.kms.keyset;

import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.vocabulary.KeyStateException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * The allowed changes of a keyset, each from one revision to the next or refused with {@link
 * KeyStateException}: the state machine of keyset-v1 §4 in code. Pure functions.
 */
final class KeysetChange {
  private static final Set<KeyState> NOT_SCHEDULED =
      EnumSet.of(KeyState.PENDING, KeyState.ENABLED, KeyState.DISABLED, KeyState.COMPROMISED);

  private KeysetChange() {}

  /** The number that the next version gets. */
  static int nextNumber(Keyset keyset) {
    requireLive(keyset);
    KeyState primary = primary(keyset).state();
    if (primary == KeyState.DESTRUCTION_SCHEDULED) {
      throw refused(keyset, keyset.primary(), "the primary is to be destroyed; cancel that first");
    }
    int next = keyset.versions().size() + 1;
    if (next > Keyset.MAX_VERSIONS) {
      throw refused(
          keyset,
          next,
          "a keyset has at most "
              + Keyset.MAX_VERSIONS
              + " versions; create a new keyset and re-encrypt");
    }
    return next;
  }

  static Keyset rotate(Keyset keyset, Instant now, WrappedKey wrapped) {
    return add(keyset, KeyState.ENABLED, now, wrapped);
  }

  static Keyset publish(Keyset keyset, Instant now, WrappedKey wrapped) {
    return add(keyset, KeyState.PENDING, now, wrapped);
  }

  private static Keyset add(Keyset keyset, KeyState state, Instant now, WrappedKey wrapped) {
    int number = nextNumber(keyset);
    List<KeyVersion> versions = new ArrayList<>(keyset.versions());
    KeyVersion fresh = KeyVersion.fresh(number, state, now, wrapped);
    versions.add(state == KeyState.ENABLED ? fresh.promoted(now) : fresh);
    return keyset.next(state == KeyState.ENABLED ? number : keyset.primary(), versions);
  }

  static Keyset promote(Keyset keyset, int number, Instant now) {
    KeyVersion version =
        require(keyset, number, "promote", EnumSet.of(KeyState.PENDING, KeyState.ENABLED));
    if (number == keyset.primary()) {
      throw refused(keyset, number, "it is the primary already");
    }
    if (keyset.asOf(now).isExpired(version)) {
      throw refused(keyset, number, "it has expired; move that date first, or rotate");
    }
    List<KeyVersion> versions = new ArrayList<>(keyset.versions());
    versions.set(number - 1, version.promoted(now));
    return keyset.next(number, versions);
  }

  static Keyset rollback(Keyset keyset, Instant now) {
    requireLive(keyset);
    int previous = keyset.previousPrimary().orElse(0);
    if (previous == 0) {
      throw refused(keyset, keyset.primary(), "it has been the only primary; there is none before");
    }
    require(keyset, previous, "go back to", EnumSet.of(KeyState.ENABLED));
    return promote(keyset, previous, now);
  }

  static Keyset setRotationPolicy(Keyset keyset, RotationPolicy policy) {
    requireLive(keyset);
    if (policy.equals(keyset.rotationPolicy())) {
      return keyset;
    }
    return keyset.withPolicy(keyset.policy().withRotationPolicy(policy));
  }

  static Keyset setExpiry(Keyset keyset, @Nullable Instant at) {
    requireLive(keyset);
    return keyset.expiresAt().equals(Optional.ofNullable(at)) ? keyset : keyset.withExpiry(at);
  }

  static Keyset setExpiry(Keyset keyset, int number, @Nullable Instant at) {
    KeyVersion version =
        require(
            keyset,
            number,
            "move the expiry of",
            EnumSet.complementOf(EnumSet.of(KeyState.DESTROYED)));
    return version.expiresAt().equals(Optional.ofNullable(at))
        ? keyset
        : keyset.replacing(version.withExpiry(at));
  }

  static Keyset hold(Keyset keyset, LegalHold hold) {
    requireLive(keyset);
    if (keyset.hold().isPresent()) {
      throw refused(
          keyset,
          keyset.primary(),
          "the keyset is held since " + keyset.hold().get().since() + " already; release it first");
    }
    return keyset.withHold(hold);
  }

  static Keyset release(Keyset keyset) {
    requireLive(keyset);
    if (keyset.hold().isEmpty()) {
      throw refused(keyset, keyset.primary(), "the keyset is not held");
    }
    return keyset.withHold(null);
  }

  static Keyset disable(Keyset keyset, int number) {
    return keyset.replacing(
        require(keyset, number, "disable", EnumSet.of(KeyState.PENDING, KeyState.ENABLED))
            .withState(KeyState.DISABLED));
  }

  static Keyset enable(Keyset keyset, int number) {
    return keyset.replacing(
        require(keyset, number, "enable", EnumSet.of(KeyState.DISABLED))
            .withState(KeyState.ENABLED));
  }

  static Keyset compromise(Keyset keyset, int number) {
    return keyset.replacing(
        require(
                keyset,
                number,
                "mark compromised",
                EnumSet.of(KeyState.PENDING, KeyState.ENABLED, KeyState.DISABLED))
            .withState(KeyState.COMPROMISED));
  }

  static Keyset schedule(Keyset keyset, int number, Instant at, DestructionGuard guard) {
    KeyVersion version = require(keyset, number, "schedule the destruction of", NOT_SCHEDULED);
    requireNotPrimary(keyset, number);
    requireNoObjection(keyset, version, guard);
    return keyset.replacing(version.scheduled(at, guard.override()));
  }

  static Keyset cancel(Keyset keyset, int number) {
    return keyset.replacing(
        cancelled(
            require(
                keyset,
                number,
                "cancel the destruction of",
                EnumSet.of(KeyState.DESTRUCTION_SCHEDULED))));
  }

  static Keyset destroy(Keyset keyset, int number, DestructionGuard guard) {
    KeyVersion version =
        require(keyset, number, "destroy", EnumSet.of(KeyState.DESTRUCTION_SCHEDULED));
    requireNotPrimary(keyset, number);
    requireDue(keyset, version, guard.now());
    requireNoObjection(keyset, version, guard);
    return keyset.replacing(version.destroyed(guard.now()));
  }

  /** Schedules every version that is not scheduled yet; the others keep their date. */
  static Keyset scheduleAll(Keyset keyset, Instant at, DestructionGuard guard) {
    requireLive(keyset);
    for (KeyVersion version : keyset.versions()) {
      if (NOT_SCHEDULED.contains(version.state())) {
        requireNoObjection(keyset, version, guard);
      }
    }
    return changeAll(
        keyset,
        "every version is scheduled for destruction already",
        version ->
            NOT_SCHEDULED.contains(version.state())
                ? version.scheduled(at, guard.override())
                : version);
  }

  static Keyset cancelAll(Keyset keyset) {
    return changeAll(
        keyset,
        "no version is scheduled for destruction",
        version ->
            version.state() == KeyState.DESTRUCTION_SCHEDULED ? cancelled(version) : version);
  }

  /** Destroys every version, all of which must be due. */
  static Keyset destroyAll(Keyset keyset, DestructionGuard guard) {
    for (KeyVersion version : keyset.versions()) {
      if (version.state() != KeyState.DESTROYED) {
        require(keyset, version.number(), "destroy", EnumSet.of(KeyState.DESTRUCTION_SCHEDULED));
        requireDue(keyset, version, guard.now());
        requireNoObjection(keyset, version, guard);
      }
    }
    return changeAll(
        keyset,
        "every version is destroyed already",
        version ->
            version.state() == KeyState.DESTROYED ? version : version.destroyed(guard.now()));
  }

  /** Destroys every version that is due and may go without another; the same keyset if none is. */
  static Keyset destroyDue(Keyset keyset, DestructionGuard guard) {
    boolean whole = true;
    Set<KeyVersion> going = new HashSet<>();
    for (KeyVersion version : keyset.versions()) {
      if (isDue(version, guard.now()) && guard.objection(keyset, version) == null) {
        going.add(version);
      } else {
        whole &= version.state() == KeyState.DESTROYED;
      }
    }
    List<KeyVersion> versions = new ArrayList<>();
    for (KeyVersion version : keyset.versions()) {
      boolean goes = going.contains(version) && (whole || version.number() != keyset.primary());
      versions.add(goes ? version.destroyed(guard.now()) : version);
    }
    return versions.equals(keyset.versions()) ? keyset : keyset.next(keyset.primary(), versions);
  }

  /** Whether it is time for a destruction that was scheduled. */
  static boolean isDue(KeyVersion version, Instant now) {
    return version.destroyAt().map(due -> !now.isBefore(due)).orElse(false);
  }

  private static Keyset changeAll(
      Keyset keyset, String nothingToDo, Function<KeyVersion, KeyVersion> change) {
    requireLive(keyset);
    List<KeyVersion> versions = new ArrayList<>();
    boolean changed = false;
    for (KeyVersion version : keyset.versions()) {
      KeyVersion next = change.apply(version);
      changed |= !next.equals(version);
      versions.add(next);
    }
    if (!changed) {
      throw refused(keyset, keyset.primary(), nothingToDo);
    }
    return keyset.next(keyset.primary(), versions);
  }

  private static KeyVersion cancelled(KeyVersion version) {
    return version.withState(version.isCompromised() ? KeyState.COMPROMISED : KeyState.DISABLED);
  }

  /** Refuses anything on a destroyed keyset, whose document nobody can authenticate. */
  static void requireLive(Keyset keyset) {
    if (keyset.isDestroyed()) {
      throw refused(keyset, keyset.primary(), "the keyset is destroyed and cannot change any more");
    }
  }

  private static KeyVersion require(Keyset keyset, int number, String verb, Set<KeyState> from) {
    requireLive(keyset);
    KeyVersion version = keyset.find(number);
    if (version == null) {
      throw refused(keyset, number, "no such version; the newest is " + keyset.versions().size());
    }
    if (!from.contains(version.state())) {
      boolean schedulable = verb.equals("destroy") && version.state() != KeyState.DESTROYED;
      throw refused(
          keyset,
          number,
          "cannot "
              + verb
              + " a version in state "
              + version.state()
              + ", only in "
              + from
              + (schedulable ? "; scheduleDestruction first" : ""));
    }
    return version;
  }

  private static void requireNotPrimary(Keyset keyset, int number) {
    if (number == keyset.primary()) {
      throw refused(
          keyset,
          number,
          "it is the primary; rotate first, or schedule and destroy the whole keyset");
    }
  }

  private static void requireNoObjection(
      Keyset keyset, KeyVersion version, DestructionGuard guard) {
    String objection = guard.objection(keyset, version);
    if (objection != null) {
      throw refused(keyset, version.number(), objection);
    }
  }

  private static void requireDue(Keyset keyset, KeyVersion version, Instant now) {
    Instant due = version.destroyAt().orElseThrow();
    if (now.isBefore(due)) {
      throw refused(keyset, version.number(), "its destruction is not due before " + due);
    }
  }

  static Instant dueAt(Keyset keyset, Instant now) {
    return now.plus(keyset.destructionWindow());
  }

  private static KeyVersion primary(Keyset keyset) {
    return keyset.versions().get(keyset.primary() - 1);
  }

  private static KeyStateException refused(Keyset keyset, int version, String problem) {
    return new KeyStateException(keyset.id(), version, problem);
  }
}
