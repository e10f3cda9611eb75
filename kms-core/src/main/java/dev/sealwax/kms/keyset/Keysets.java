package dev.sealwax.kms.keyset;

import dev.sealwax.kms.events.Announcer;
import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.rootkey.RootKeyRule;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.store.KeysetStore;
import dev.sealwax.kms.vocabulary.KeyStateException;
import dev.sealwax.kms.vocabulary.KeysetConflictException;
import dev.sealwax.kms.vocabulary.KeysetCorruptedException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import dev.sealwax.kms.vocabulary.KmsEvent.Change;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Objects;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.concurrent.ScheduledExecutorService;
import java.util.function.Function;
import java.util.function.LongSupplier;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.jspecify.annotations.Nullable;

/**
 * The operator's verbs: creates keysets and moves them from revision to revision.
 *
 * <p>Each verb reads the keyset from the store, authenticates it, checks the change against the
 * table of keyset-v1 §4 and writes it by compare-and-set; against other writers it starts over.
 * When a verb returns, the very next operation of this process sees the change; other processes see
 * it within their refresh interval. Safe for any thread.
 *
 * <p>Besides what the methods say, all of them throw {@link IllegalArgumentException} for an
 * impossible name, {@link KeysetStoreException} and {@link RootKeyException} with their reasons,
 * {@link KeysetCorruptedException} for a document that is not authentic, and, after many attempts,
 * {@link KeysetConflictException}. Verbs that change a keyset throw {@link KeyStateException} if
 * its state does not allow the change or its document has no room for it, and nothing is written.
 * Those that add a version need room for what all others may add, so that a full keyset can be held
 * and shredded; from 90 % on, of the room or of {@link Keyset#MAX_VERSIONS}, they log a warning.
 */
public final class Keysets {
  /** Documents have room for four digits of a year. */
  private static final Instant END_OF_TIME = Instant.parse("9999-12-31T00:00:00Z");

  private final OpenKeysets keysets;
  private final KeysetStore store;
  private final RootCalls rootCalls;
  private final Announcer announcer;
  private final Clock wallClock;
  private final SecureRandom random;
  private final KeysetChanges changes;
  private final DueChanges due;

  Keysets(
      OpenKeysets keysets,
      KeysetStore store,
      RootCalls rootCalls,
      UsageReports usage,
      Announcer announcer,
      Clock wallClock,
      SecureRandom random) {
    this.keysets = keysets;
    this.store = store;
    this.rootCalls = rootCalls;
    this.announcer = announcer;
    this.wallClock = wallClock;
    this.random = random;
    this.changes =
        new KeysetChanges(
            keysets, new KeysetWriter(store), rootCalls, announcer, wallClock, random);
    this.due = new DueChanges(changes, usage, rootCalls, random);
  }

  /**
   * Creates a keyset with one enabled version, its primary.
   *
   * @throws KeysetConflictException if the name is taken, be it by a destroyed keyset
   */
  public Keyset create(String name, KeysetTemplate template) {
    KeysetId id = KeysetId.of(name);
    Objects.requireNonNull(template, "template");
    OpenKeyset open = keysets.open(id);
    return announcer.reporting(Change.CREATE, id, 0, () -> createNow(open, template), () -> true);
  }

  private Keyset createNow(OpenKeyset open, KeysetTemplate template) {
    KeysetId id = open.id();
    boolean known = open.isKnown(); // before the look: another thread may create it meanwhile
    // Asked first, so that a taken name costs no call of the root key.
    if (store.load(id).isPresent()) {
      throw new KeysetConflictException(id, "the name is taken; get it, or choose another");
    }
    if (known) {
      throw new KeysetConflictException(
          id, "this process knows a keyset of that name that is gone from the store; restore it");
    }
    DocumentKey documentKey = DocumentKey.random(random);
    KeyEncryptionKey key = null;
    boolean written = false;
    try (VersionSecret secret = VersionSecret.generate(random, documentKey)) {
      WrappedKey wrapped = rootCalls.wrap(id, 1, secret, template.rootKeyRule());
      Instant now = changes.now();
      KeyVersion first = KeyVersion.fresh(1, KeyState.ENABLED, now, wrapped).promoted(now);
      Keyset keyset = Keyset.of(id, 1, template, null, null, now, 1, 0, List.of(first));
      key = secret.keyEncryptionKey(1);
      Keyset created = changes.create(open, keyset, documentKey, key);
      written = true;
      return created;
    } finally {
      if (!written) {
        documentKey.close();
        if (key != null) {
          key.close();
        }
      }
    }
  }

  /**
   * The keyset as it stands in the store now, authenticated. Makes this process see at once what
   * another one has changed.
   */
  public Keyset get(String name) {
    return changes.read(name);
  }

  /**
   * The names of all keysets in ascending order, destroyed ones included, read page by page as the
   * stream advances. They are not authenticated.
   */
  public Stream<KeysetId> list() {
    keysets.requireOpen();
    return StreamSupport.stream(
        Spliterators.spliteratorUnknownSize(
            new KeysetNames(store), Spliterator.ORDERED | Spliterator.NONNULL),
        false);
  }

  /** Adds an enabled version and makes it the primary; older versions go on opening envelopes. */
  public Keyset rotate(String name) {
    return changes.to(
        name,
        Change.ROTATE,
        "rotated",
        snapshot -> changes.withNewVersion(snapshot, KeysetChange::rotate));
  }

  /**
   * Takes the next step of a rotation that the keyset's policy calls for, if there is one.
   *
   * <p>Publishes a pending version, unless there is one; a later call, at least the policy's
   * propagation delay after that, promotes it. Does nothing while the primary is not enabled: what
   * an operator has switched off stays off until an operator rotates. Any number of processes may
   * call this at any time; each step happens once.
   */
  public Keyset rotateIfDue(String name) {
    return due.rotate(name).keyset();
  }

  /**
   * Makes the version the primary again that was it before the present one, which goes on opening
   * envelopes. Its age counts from now; what it has encrypted goes on counting.
   */
  public Keyset rollback(String name) {
    return changes.toAll(
        name,
        Change.ROLLBACK,
        "rolled back to the primary before",
        k -> KeysetChange.rollback(k, changes.now()));
  }

  /**
   * Changes when the keyset rotates. A process that did not count messages and bytes so far begins
   * with its next data key.
   */
  public Keyset setRotationPolicy(String name, RotationPolicy policy) {
    Objects.requireNonNull(policy, "rotation policy");
    return changes.toAll(
        name,
        Change.SET_ROTATION_POLICY,
        "given the " + policy,
        keyset -> KeysetChange.setRotationPolicy(keyset, policy));
  }

  /**
   * Adds a pending version, which every process learns to open before {@link #promote} lets any
   * make such envelopes.
   */
  public Keyset publish(String name) {
    return changes.to(
        name,
        Change.PUBLISH,
        "given a pending version",
        s -> changes.withNewVersion(s, KeysetChange::publish));
  }

  /** Makes a pending or enabled version the primary. */
  public Keyset promote(String name, int version) {
    return changes.to(
        name,
        version,
        Change.PROMOTE,
        "promoted",
        keyset -> KeysetChange.promote(keyset, version, changes.now()));
  }

  /**
   * Switches a pending or enabled version off: envelopes under it do not open until {@link
   * #enable}.
   */
  public Keyset disable(String name, int version) {
    return changes.to(
        name, version, Change.DISABLE, "disabled", keyset -> KeysetChange.disable(keyset, version));
  }

  /** Switches a disabled version on again. */
  public Keyset enable(String name, int version) {
    return changes.to(
        name, version, Change.ENABLE, "enabled", keyset -> KeysetChange.enable(keyset, version));
  }

  /**
   * Marks a version as known to an adversary, for good: re-encryption is all that is left to its
   * data.
   */
  public Keyset compromise(String name, int version) {
    return changes.to(
        name,
        version,
        Change.COMPROMISE,
        "marked compromised",
        keyset -> KeysetChange.compromise(keyset, version));
  }

  /**
   * Schedules the destruction of a version that is not the primary, after the keyset's destruction
   * window. Refused while the keyset is held, or the version has encrypted within the quiet period.
   */
  public Keyset scheduleDestruction(String name, int version) {
    DestructionGuard guard = guard();
    return schedule(name, version, keyset -> KeysetChange.dueAt(keyset, guard.now()), guard);
  }

  /**
   * Schedules the destruction of a version that is not the primary, as {@link
   * #scheduleDestruction(String, int)} does.
   *
   * @param window how long it can be cancelled, 7 to 30 days
   */
  public Keyset scheduleDestruction(String name, int version, Duration window) {
    KeysetTemplate.requireDestructionWindow(window);
    DestructionGuard guard = guard();
    return schedule(name, version, keyset -> guard.now().plus(window), guard);
  }

  /**
   * Schedules the destruction of a version that is not the primary, as {@link
   * #scheduleDestruction(String, int)} does, if nothing needs it.
   *
   * @param inventory asked before anything is written, on this thread
   */
  public Keyset scheduleDestruction(String name, int version, VersionUse inventory) {
    DestructionGuard guard = guard().asking(Objects.requireNonNull(inventory, "inventory"));
    return schedule(name, version, keyset -> KeysetChange.dueAt(keyset, guard.now()), guard);
  }

  /**
   * Schedules the destruction of a version that is not the primary although it has encrypted within
   * the quiet period, or an inventory finds data under it. A hold still prevents it.
   *
   * @param reason kept in the version, for whoever asks later: 1 to {@value
   *     KeysetTemplate#MAX_TEXT_LENGTH} printable ASCII characters
   */
  public Keyset scheduleDestructionDespiteUse(String name, int version, String reason) {
    DestructionGuard guard = guard().overriddenBecause(reason);
    return schedule(name, version, keyset -> KeysetChange.dueAt(keyset, guard.now()), guard);
  }

  private Keyset schedule(
      String name, int version, Function<Keyset, Instant> dueAt, DestructionGuard guard) {
    return changes.to(
        name,
        version,
        scheduling(guard),
        scheduled(guard),
        keyset -> KeysetChange.schedule(keyset, version, dueAt.apply(keyset), guard));
  }

  /**
   * Schedules the destruction of the whole keyset, primary included: crypto-shredding of all its
   * data. Refused while the keyset is held, or a version has encrypted within the quiet period.
   */
  public Keyset scheduleDestruction(String name) {
    return scheduleAll(name, guard());
  }

  /**
   * Schedules the destruction of the whole keyset although its versions are in use. A hold still
   * prevents it.
   *
   * @param reason kept in the versions: 1 to {@value KeysetTemplate#MAX_TEXT_LENGTH} printable
   *     ASCII characters
   */
  public Keyset scheduleDestructionDespiteUse(String name, String reason) {
    return scheduleAll(name, guard().overriddenBecause(reason));
  }

  private Keyset scheduleAll(String name, DestructionGuard guard) {
    return changes.toAll(
        name,
        scheduling(guard),
        scheduled(guard),
        keyset -> KeysetChange.scheduleAll(keyset, KeysetChange.dueAt(keyset, guard.now()), guard));
  }

  private static Change scheduling(DestructionGuard guard) {
    return guard.override() == null
        ? Change.SCHEDULE_DESTRUCTION
        : Change.SCHEDULE_DESTRUCTION_DESPITE_USE;
  }

  private static String scheduled(DestructionGuard guard) {
    return "scheduled for destruction"
        + (guard.override() == null ? "" : ", overriding its use: " + guard.override());
  }

  private DestructionGuard guard() {
    return DestructionGuard.at(changes.now());
  }

  /**
   * Lets the whole keyset expire: from that moment on every process refuses every use of it, by its
   * own clock and whatever it has cached. Also moves such a date, be it one that has passed.
   *
   * @param at in whole seconds, in the future
   * @throws IllegalArgumentException if it is not
   */
  public Keyset setExpiry(String name, Instant at) {
    requireFuture(at);
    return changes.toAll(
        name, Change.SET_EXPIRY, "made to expire at " + at, k -> KeysetChange.setExpiry(k, at));
  }

  /**
   * Lets a version expire, as {@link #setExpiry(String, Instant)} does for a keyset. Unless the
   * rotation policy is manual, the primary is replaced a day before.
   *
   * @param at in whole seconds, in the future
   * @throws IllegalArgumentException if it is not
   */
  public Keyset setExpiry(String name, int version, Instant at) {
    requireFuture(at);
    return changes.to(
        name,
        version,
        Change.SET_EXPIRY,
        "made to expire at " + at,
        k -> KeysetChange.setExpiry(k, version, at));
  }

  /** Lets the keyset expire no more; versions with a date of their own still do. */
  public Keyset removeExpiry(String name) {
    return changes.toAll(
        name,
        Change.REMOVE_EXPIRY,
        "freed from its date of expiry",
        k -> KeysetChange.setExpiry(k, null));
  }

  /** Lets a version expire no more, unless its keyset does. */
  public Keyset removeExpiry(String name, int version) {
    return changes.to(
        name,
        version,
        Change.REMOVE_EXPIRY,
        "freed from its date of expiry",
        k -> KeysetChange.setExpiry(k, version, null));
  }

  private void requireFuture(Instant at) {
    Objects.requireNonNull(at, "expiry");
    Instant now = changes.now();
    if (!at.isAfter(now)
        || !at.isBefore(END_OF_TIME)
        || !at.equals(at.truncatedTo(ChronoUnit.SECONDS))) {
      throw new IllegalArgumentException(
          "expiry must be after now, " + now + ", and truncatedTo(SECONDS), got " + at);
    }
  }

  /**
   * Keeps everything in the keyset from being scheduled for destruction or destroyed, until {@link
   * #releaseHold}. What is scheduled already stays so and is not carried out.
   *
   * @param reason 1 to {@value KeysetTemplate#MAX_TEXT_LENGTH} printable ASCII characters
   */
  public Keyset placeHold(String name, String reason) {
    LegalHold hold = new LegalHold(changes.now(), reason);
    return changes.toAll(
        name, Change.PLACE_HOLD, "held: " + reason, keyset -> KeysetChange.hold(keyset, hold));
  }

  /** Ends a hold. A destruction that has become due meanwhile can be carried out at once. */
  public Keyset releaseHold(String name) {
    return changes.toAll(
        name, Change.RELEASE_HOLD, "released from its hold", KeysetChange::release);
  }

  /**
   * Takes a scheduled destruction back; the version is then compromised if it was so before, else
   * disabled.
   */
  public Keyset cancelDestruction(String name, int version) {
    return changes.to(
        name,
        version,
        Change.CANCEL_DESTRUCTION,
        "saved from destruction",
        keyset -> KeysetChange.cancel(keyset, version));
  }

  /**
   * Takes every scheduled destruction back, as {@link #cancelDestruction(String, int)} does for
   * one.
   */
  public Keyset cancelDestruction(String name) {
    return changes.toAll(
        name, Change.CANCEL_DESTRUCTION, "saved from destruction", KeysetChange::cancelAll);
  }

  /**
   * Deletes the material of a version whose destruction is due; nobody can open its data any more.
   * Refused while the keyset is held.
   */
  public Keyset destroy(String name, int version) {
    return destroy(name, version, guard());
  }

  /**
   * Deletes the material of a version whose destruction is due, if nothing needs it or that was
   * overridden when it was scheduled.
   *
   * @param inventory asked before anything is written, on this thread
   */
  public Keyset destroy(String name, int version, VersionUse inventory) {
    return destroy(name, version, guard().asking(Objects.requireNonNull(inventory, "inventory")));
  }

  private Keyset destroy(String name, int version, DestructionGuard guard) {
    return changes.to(
        name,
        version,
        Change.DESTROY,
        "destroyed",
        keyset -> KeysetChange.destroy(keyset, version, guard));
  }

  /** Deletes the material of all versions, all of which must be due. The name stays taken. */
  public Keyset destroy(String name) {
    return changes.toAll(
        name, Change.DESTROY, "destroyed", keyset -> KeysetChange.destroyAll(keyset, guard()));
  }

  DueChanges due() {
    return due;
  }

  /**
   * A scheduler over these keysets, which the caller starts and closes.
   *
   * @param executor stays the caller's
   */
  KeysetScheduler scheduler(
      LongSupplier nanoClock,
      ScheduledExecutorService executor,
      Duration interval,
      SchedulerListener listener,
      @Nullable VersionUse inventory) {
    return new KeysetScheduler(
        this, due, store, wallClock, nanoClock, executor, interval, listener, inventory);
  }

  /**
   * Wraps every key version with another root key, in one write; no envelope changes.
   *
   * <p>Does nothing if the current key of {@code target} holds them all already, and none of a
   * quorum is missing. Processes that hold the old root key only go on until the hard time to live
   * of what they have unwrapped; open them with {@code target} before that. One that holds it and
   * goes on, like the one that moves, wraps the next version with the old root key again, which
   * {@code target} cannot open: give all of them a {@link dev.sealwax.kms.rootkey.RoutingRootKey}
   * of both first, {@code target} in front.
   *
   * @param target stays the caller's to close
   */
  public Keyset moveToRootKey(String name, RootKey target) {
    Objects.requireNonNull(target, "target");
    RootMove move = new RootMove(rootCalls, rootCalls.over(target), random);
    KeysetId id = KeysetId.of(name);
    try {
      Keyset moved =
          changes.to(
              name,
              Change.MOVE_TO_ROOT_KEY,
              "moved to root key " + target.currentKeyId(),
              move::propose);
      move.warnIfOldOneGoesOn(id);
      return moved;
    } catch (RootKeyException e) {
      if (e.reason() == RootKeyException.Reason.NOT_FOUND) {
        KeysetReader reader = new KeysetReader(store, rootCalls.over(target), announcer);
        return move.findMoved(id, reader, e);
      }
      throw e;
    }
  }

  /**
   * Asks the root keys of a quorum again that are {@linkplain KeyVersion#missingRootKeyIds missing}
   * from a version, if the root key of this {@code Kms} is the quorum that holds every version:
   * wraps all of them anew, in one write; no envelope changes.
   *
   * <p>Does nothing if none is missing, or those that are still do not answer. A scheduler does
   * this by itself.
   */
  public Keyset repairWraps(String name) {
    return due.repair(name).keyset();
  }

  /**
   * Changes which root keys may hold the keys of a keyset, and wraps every version anew by those
   * that may, in one write; no envelope changes. So it does if the rule stays and the tags of root
   * keys were corrected. A copy of the earlier document still opens under the root keys it was
   * wrapped with.
   *
   * @throws RootKeyException with {@code UNSUPPORTED} if the root key of this {@code Kms}, or too
   *     many of its quorum, may not; nothing is written then
   */
  public Keyset setRootKeyRule(String name, RootKeyRule rule) {
    Objects.requireNonNull(rule, "root key rule");
    RootMove move = new RootMove(rootCalls, rootCalls, random);
    return changes.to(
        name,
        Change.SET_ROOT_KEY_RULE,
        "given the " + rule,
        snapshot -> move.withRule(snapshot, rule));
  }
}
