package dev.sealwax.kms.keyset;

import dev.sealwax.kms.keyset.ScheduledChange.Outcome;
import dev.sealwax.kms.store.KeysetStore;
import dev.sealwax.kms.store.StoredKeyset;
import dev.sealwax.kms.vocabulary.KeysetConflictException;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Looks at all keysets of a store now and then, and does what is due: publishes and promotes
 * versions as the rotation policies say, carries out scheduled destructions, and has root keys of a
 * quorum wrap that were down when they should have.
 *
 * <p>Any number of processes may run one over the same store. Each change is a compare-and-set of
 * its own, so it happens once; who comes second moves on. A keyset that fails does not hold up the
 * others. The clocks of the processes may differ and may be stepped: see keyset-v1 §4.2.
 *
 * <p>Reads every document at every look, and calls the root key only where something is due. Owns
 * no thread: it runs on the executor it was given, for the length of a look. Safe for any thread.
 */
public final class KeysetScheduler implements AutoCloseable {
  /** Shortest time between two looks. */
  public static final Duration MIN_INTERVAL = Duration.ofSeconds(1);

  /** Longest time between two looks. */
  public static final Duration MAX_INTERVAL = Duration.ofDays(1);

  /** So many looks in a row may find the same thing due before it is called missed. */
  static final int LOOKS_BEFORE_MISSED = 5;

  /** A keyset that goes on failing is left out at most so many looks in a row. */
  static final int MAX_LOOKS_SKIPPED = 64;

  /** So many repairs in vain, and a root key of a quorum is called missed. */
  static final int REPAIRS_BEFORE_MISSED = 3;

  /** A repair in vain is tried again after at most so many looks. */
  static final int MAX_LOOKS_BETWEEN_REPAIRS = 8;

  // More than NTP steps in a day, less than anything that matters to a destruction.
  private static final Duration TOLERATED_STEP = Duration.ofMinutes(5);
  // Time to notice that a clock is wrong, before it destroys what it should not.
  private static final Duration TRUST_AFTER_STEP = Duration.ofDays(1);

  private static final Logger LOG = LoggerFactory.getLogger(KeysetScheduler.class);

  /** A keyset in which something is due or fails; the others are not remembered. */
  private static final class Trouble {
    private int looksDue;
    private int failures;
    private int looksToSkip;
    // Of repairs, which must not hold up the rest.
    private int repairs;
    private int looksToRepair;
  }

  private final Keysets keysets;
  private final DueChanges due;
  private final KeysetStore store;
  private final Clock wallClock;
  private final LongSupplier nanoClock;
  private final ScheduledExecutorService executor;
  private final Duration interval;
  private final SchedulerListener listener;
  private final @Nullable VersionUse inventory;
  // Used by one look at a time only.
  private final Map<KeysetId, Trouble> troubles = new HashMap<>();
  private @Nullable Instant lastWall;
  private long lastNanos;
  private long distrustedUntilNanos;
  private boolean distrusting;
  private volatile @Nullable Future<?> next;
  private volatile boolean closed;

  KeysetScheduler(
      Keysets keysets,
      DueChanges due,
      KeysetStore store,
      Clock wallClock,
      LongSupplier nanoClock,
      ScheduledExecutorService executor,
      Duration interval,
      SchedulerListener listener,
      @Nullable VersionUse inventory) {
    RotationPolicy.requireWithin("scheduler interval", interval, MIN_INTERVAL, MAX_INTERVAL);
    this.keysets = keysets;
    this.due = due;
    this.store = store;
    this.wallClock = wallClock;
    this.nanoClock = nanoClock;
    this.executor = Objects.requireNonNull(executor, "executor");
    this.interval = interval;
    this.listener = Objects.requireNonNull(listener, "listener");
    this.inventory = inventory;
  }

  /** Looks for the first time within an interval from now. */
  void start() {
    lookAfter(ThreadLocalRandom.current().nextLong(interval.toMillis()));
  }

  private void lookAfter(long millis) {
    try {
      next = executor.schedule(this::lookAndGoOn, millis, TimeUnit.MILLISECONDS);
      if (closed) {
        cancelNext();
      }
    } catch (RejectedExecutionException e) {
      if (!closed) {
        LOG.warn("the executor of the keyset scheduler is shut down; nothing rotates by itself", e);
      }
    }
  }

  private void lookAndGoOn() {
    if (closed) {
      return;
    }
    try {
      look();
    } catch (RuntimeException | Error e) {
      LOG.error("a look of the keyset scheduler failed; the next one follows", e);
      if (e instanceof Error error) {
        throw error;
      }
    } finally {
      // Spread by a tenth, so that processes started together do not go on looking together.
      long millis = interval.toMillis();
      lookAfter(millis - millis / 10 + ThreadLocalRandom.current().nextLong(millis / 5 + 1));
    }
  }

  /** Goes over all keysets once. */
  void look() {
    watchTheClock();
    Set<KeysetId> seen = new HashSet<>();
    try {
      for (Iterator<KeysetId> ids = keysets.list().iterator(); ids.hasNext() && !closed; ) {
        KeysetId id = ids.next();
        lookAt(id);
        if (troubles.containsKey(id)) {
          seen.add(id);
        }
      }
    } catch (RuntimeException e) {
      if (!closed) {
        LOG.warn(
            "the keyset scheduler cannot list the keysets; it tries again at its next look", e);
      }
      return;
    }
    if (!closed) {
      troubles.keySet().retainAll(seen);
    }
  }

  private void watchTheClock() {
    Instant wall = wallClock.instant();
    long nanos = nanoClock.getAsLong();
    if (lastWall != null) {
      Duration stepped =
          Duration.between(lastWall, wall).minus(Duration.ofNanos(nanos - lastNanos)).abs();
      if (stepped.compareTo(TOLERATED_STEP) > 0) {
        distrusting = true;
        distrustedUntilNanos = nanos + TRUST_AFTER_STEP.toNanos();
        LOG.warn("the clock was stepped by {}; nothing is destroyed for a day", stepped);
      } else if (distrusting && nanos - distrustedUntilNanos >= 0) {
        distrusting = false;
      }
    }
    lastWall = wall;
    lastNanos = nanos;
  }

  private void lookAt(KeysetId id) {
    Trouble trouble = troubles.get(id);
    if (trouble != null && trouble.looksToSkip > 0) {
      trouble.looksToSkip--;
      return;
    }
    try {
      Keyset claimed = claimed(id);
      boolean anything = claimed != null && due.isAnythingDue(claimed);
      boolean done = anything && doWhatIsDue(id.value());
      if (anything && !done) {
        stillDue(id);
      } else {
        settled(id);
      }
      if (claimed != null && due.needsRepair(claimed)) {
        repair(id);
      } else {
        repaired(id);
      }
    } catch (KeysetConflictException e) {
      LOG.debug("keyset {} is being changed by others; the next look will see", id, e);
    } catch (RuntimeException e) {
      if (!closed) {
        failed(id, e);
      }
    }
  }

  /**
   * What the document says. Nothing is believed of it: who forges one can at most make the
   * scheduler look closer, or not yet, which withholding the document would do as well.
   */
  private @Nullable Keyset claimed(KeysetId id) {
    StoredKeyset stored = store.load(id).orElse(null);
    return stored == null ? null : KeysetJson.read(stored);
  }

  /** Whether what is due was done or is on its way. */
  private boolean doWhatIsDue(String name) {
    DueChanges.Rotated rotated = due.rotate(name);
    Keyset keyset = rotated.keyset();
    if (rotated.step() == RotationStep.PUBLISH) {
      int published = RotationStep.waiting(keyset).map(KeyVersion::number).orElse(0);
      tell(new ScheduledChange(keyset.id(), Outcome.PUBLISHED, published, null));
    } else if (rotated.step() == RotationStep.PROMOTE) {
      tell(new ScheduledChange(keyset.id(), Outcome.PROMOTED, keyset.primary(), null));
    }
    if (!distrusting) {
      DueChanges.Destroyed destroyed = due.destroy(name, inventory);
      for (int version : destroyed.versions()) {
        tell(new ScheduledChange(keyset.id(), Outcome.DESTROYED, version, null));
      }
      keyset = destroyed.keyset();
    }
    return !due.isOverdue(keyset);
  }

  /**
   * Has missing root keys of a quorum wrap. What fails or changes nothing is tried again, less and
   * less often: each time it costs a call of the others, and one that hangs the quorum's patience.
   */
  private void repair(KeysetId id) {
    Trouble trouble = troubles.computeIfAbsent(id, key -> new Trouble());
    if (trouble.looksToRepair > 0) {
      trouble.looksToRepair--;
      return;
    }
    RuntimeException failure = null;
    try {
      DueChanges.Repaired repaired = due.repair(id.value());
      if (repaired.done()) {
        tell(new ScheduledChange(id, Outcome.WRAPS_REPAIRED, 0, null));
      }
      if (!due.needsRepair(repaired.keyset())) {
        repaired(id);
        return;
      }
    } catch (KeysetConflictException e) {
      return; // somebody else changes it, perhaps in the same way
    } catch (RuntimeException e) {
      if (closed) {
        return;
      }
      failure = e;
    }
    trouble.repairs++;
    trouble.looksToRepair = Math.min(MAX_LOOKS_BETWEEN_REPAIRS, 1 << Math.min(trouble.repairs, 6));
    if (failure != null) {
      LOG.warn("keyset {} cannot be wrapped by root keys that are missing", id, failure);
      tell(new ScheduledChange(id, Outcome.FAILED, 0, failure));
    }
    if (trouble.repairs == REPAIRS_BEFORE_MISSED) {
      LOG.warn("keyset {}: root keys of its quorum stay away", id);
      tell(new ScheduledChange(id, Outcome.MISSED, 0, null));
    }
  }

  private void repaired(KeysetId id) {
    Trouble trouble = troubles.get(id);
    if (trouble != null) {
      trouble.repairs = 0;
      trouble.looksToRepair = 0;
      forgetIfOver(id, trouble);
    }
  }

  private void settled(KeysetId id) {
    Trouble trouble = troubles.get(id);
    if (trouble != null) {
      trouble.looksDue = 0;
      trouble.failures = 0;
      forgetIfOver(id, trouble);
    }
  }

  private void forgetIfOver(KeysetId id, Trouble trouble) {
    if (trouble.looksDue == 0 && trouble.failures == 0 && trouble.repairs == 0) {
      troubles.remove(id);
    }
  }

  private void stillDue(KeysetId id) {
    Trouble trouble = troubles.computeIfAbsent(id, key -> new Trouble());
    trouble.failures = 0;
    countLook(id, trouble);
  }

  private void countLook(KeysetId id, Trouble trouble) {
    trouble.looksDue++;
    if (trouble.looksDue == LOOKS_BEFORE_MISSED) {
      LOG.warn("keyset {} has been due for {} looks and nothing happens", id, trouble.looksDue);
      tell(new ScheduledChange(id, Outcome.MISSED, 0, null));
    }
  }

  private void failed(KeysetId id, RuntimeException failure) {
    Trouble trouble = troubles.computeIfAbsent(id, key -> new Trouble());
    if (trouble.failures == 0) {
      LOG.warn("keyset {} cannot be looked after; it is tried again", id, failure);
    }
    trouble.failures++;
    trouble.looksToSkip = Math.min(MAX_LOOKS_SKIPPED, 1 << Math.min(trouble.failures - 1, 6));
    tell(new ScheduledChange(id, Outcome.FAILED, 0, failure));
    countLook(id, trouble);
  }

  private void tell(ScheduledChange change) {
    try {
      listener.onChange(change);
    } catch (RuntimeException | Error e) {
      LOG.warn("the scheduler's listener failed on keyset {} and was ignored", change.keyset(), e);
    }
  }

  private void cancelNext() {
    Future<?> scheduled = next;
    if (scheduled != null) {
      scheduled.cancel(false);
    }
  }

  /** Ends the looks; one under way stops after the keyset it is at. Closing twice does no harm. */
  @Override
  public void close() {
    closed = true;
    cancelNext();
  }
}
