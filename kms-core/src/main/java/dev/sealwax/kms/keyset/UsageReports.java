package dev.sealwax.kms.keyset;

import dev.sealwax.kms.cache.StackRoom;
import dev.sealwax.kms.crypto.UsageMeter;
import dev.sealwax.kms.keyset.KeysetWriter.Proposal;
import dev.sealwax.kms.vocabulary.KeyStateException;
import java.time.Clock;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Objects;
import java.util.OptionalLong;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Adds what this process encrypts to the counts in the stored keysets, a block at a time and in the
 * background, where a rotation policy wants to know.
 *
 * <p>Reports follow use, so a store that fails stops no message: what could not be reported is
 * added to the next report. A process that is killed takes what it has not reported with it. Safe
 * for any thread.
 */
final class UsageReports {
  private static final Logger LOG = LoggerFactory.getLogger(UsageReports.class);

  /**
   * So many reports lead to a rotation. A hundred processes then overshoot a limit by less than
   * itself, and a fleet writes a keyset some hundred times between two rotations.
   */
  static final int BLOCKS_PER_LIMIT = 128;

  private final KeysetWriter writer;
  private final Clock wallClock;
  private final Executor executor;
  private final ConcurrentHashMap<VersionId, Unreported> versions = new ConcurrentHashMap<>();

  /**
   * Starts with nothing to report.
   *
   * @param wallClock tells the day of use
   * @param executor runs reports, which call the store; may reject
   */
  UsageReports(KeysetWriter writer, Clock wallClock, Executor executor) {
    this.writer = writer;
    this.wallClock = wallClock;
    this.executor = executor;
  }

  /**
   * To be called for each data key made under a version: meters its use, and sees to it that the
   * day is known.
   *
   * @return null if the policy of the keyset does not ask for counts
   */
  @Nullable UsageMeter meter(OpenKeyset open, Keyset keyset, int version) {
    RotationPolicy policy = keyset.rotationPolicy();
    boolean dated = keyset.quietPeriod().isPresent();
    if (!policy.counts() && !dated) {
      return null;
    }
    Unreported use =
        versions.computeIfAbsent(
            new VersionId(open.id(), version), id -> new Unreported(open, version));
    KeyVersion used = keyset.find(version);
    if (dated && used != null) {
      Instant today = wallClock.instant().truncatedTo(ChronoUnit.DAYS);
      if (used.lastUsedAt().map(today::isAfter).orElse(true)) {
        use.day = today;
        use.reportSoon();
      }
    }
    if (!policy.counts()) {
      return null;
    }
    use.meter.setBlocks(block(policy.messages()), block(policy.bytes()));
    return use.meter;
  }

  private static long block(OptionalLong limit) {
    return limit.isPresent() ? limit.getAsLong() / BLOCKS_PER_LIMIT : UsageMeter.NO_BLOCK;
  }

  /**
   * Whether the primary of {@code keyset} is due with what this process has not reported yet, and
   * not without.
   */
  boolean decides(Keyset keyset, Instant now) {
    Unreported own = versions.get(new VersionId(keyset.id(), keyset.primary()));
    return own != null
        && !keyset.isRotationDue(now)
        && keyset.isRotationDue(now, own.meter.messages(), own.meter.bytes());
  }

  /** Reports the use of the primary now; throws what the writer throws. */
  void report(Keyset keyset) {
    Unreported own = versions.get(new VersionId(keyset.id(), keyset.primary()));
    if (own != null) {
      own.report();
    }
  }

  /** Reports all there is, as far as the store lets it. */
  void reportAll() {
    for (Unreported each : versions.values()) {
      try {
        each.report();
      } catch (RuntimeException e) {
        LOG.warn(
            "use of key versions could not be reported and will be missing in their counts", e);
        return; // a store that fails once would make each of thousands wait
      }
    }
  }

  private final class Unreported {
    private final OpenKeyset open;
    private final int version;
    private final UsageMeter meter = new UsageMeter(this::reportSoon);
    private final AtomicBoolean underWay = new AtomicBoolean();
    private final ReentrantLock reporting = new ReentrantLock();
    private boolean failing; // guarded by reporting
    private volatile @Nullable Instant day;

    Unreported(OpenKeyset open, int version) {
      this.open = open;
      this.version = version;
    }

    private void reportSoon() {
      if (underWay.get()) {
        return;
      }
      try {
        StackRoom.require();
      } catch (StackOverflowError e) {
        meter.postpone(); // what encrypts may still have room enough
        return;
      }
      if (underWay.compareAndSet(false, true)) {
        try {
          executor.execute(this::reportInBackground);
        } catch (RejectedExecutionException e) {
          reportLater();
        } catch (RuntimeException | Error e) {
          // Such as no more threads to be had: no reason to cut an encryption off.
          reportLater();
          LOG.warn("use of keyset {} version {} is reported later", open.id(), version, e);
        }
      }
    }

    private void reportLater() {
      underWay.set(false);
      meter.postpone();
    }

    private void reportInBackground() {
      try {
        report();
      } catch (RuntimeException e) {
        LOG.debug("use of keyset {} version {} is reported later", open.id(), version, e);
      } finally {
        underWay.set(false);
      }
    }

    void report() {
      // Two reports of the same use would count it twice.
      reporting.lock();
      try {
        long messages = meter.messages();
        long bytes = meter.bytes();
        Instant usedOn = day;
        if (messages != 0 || bytes != 0 || usedOn != null) {
          write(messages, bytes, usedOn);
          meter.reported(messages, bytes);
          if (Objects.equals(day, usedOn)) {
            day = null;
          }
        }
        failing = false;
      } catch (RuntimeException e) {
        meter.postpone();
        if (!failing) {
          failing = true;
          LOG.warn(
              "use of keyset {} cannot be reported; it is added to the next report", open.id());
        }
        throw e;
      } finally {
        reporting.unlock();
      }
    }

    private void write(long messages, long bytes, @Nullable Instant usedOn) {
      try {
        writer.record(
            open,
            snapshot ->
                new Proposal(
                    withUse(snapshot.keyset(), messages, bytes, usedOn),
                    Objects.requireNonNull(snapshot.documentKey(), "document key"),
                    null));
      } catch (KeyStateException e) {
        LOG.debug("keyset {} is destroyed; nobody counts its use", open.id(), e);
      }
    }

    private Keyset withUse(Keyset keyset, long messages, long bytes, @Nullable Instant usedOn) {
      KeyVersion before = keyset.find(version);
      if (before == null || before.state() == KeyState.DESTROYED || before.primaryAt().isEmpty()) {
        return keyset; // nobody wants to know any more
      }
      KeyVersion used = before;
      if (keyset.rotationPolicy().counts() && (messages != 0 || bytes != 0)) {
        used = used.used(messages, bytes);
      }
      if (keyset.quietPeriod().isPresent() && usedOn != null) {
        used = used.usedOn(usedOn);
      }
      return used.equals(before) ? keyset : keyset.replacing(used);
    }
  }
}
