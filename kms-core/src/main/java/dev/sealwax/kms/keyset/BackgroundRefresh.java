package dev.sealwax.kms.keyset;

import dev.sealwax.kms.cache.StackRoom;
import dev.sealwax.kms.events.Announcer;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Reads one keyset again in the background, at most once at a time.
 *
 * <p>Most reads need the store only. One that turns out to need the root key goes on among those
 * that call it, so that a root key that hangs does not keep the news of other keysets away. Whoever
 * waits for a read does so for a bounded time, and not for one that others have waited for in vain,
 * nor soon after one that failed: an outage must not slow down operations that can go on without.
 * Safe for any thread.
 */
final class BackgroundRefresh {
  private static final Logger LOG = LoggerFactory.getLogger(BackgroundRefresh.class);

  /** Longest time in which an operation waits for a store that could tell it of a revocation. */
  private static final long MAX_PATIENCE_NANOS = TimeUnit.MILLISECONDS.toNanos(500);

  /** What is to be done; both parts publish what they find. */
  interface Work {
    /** Reads as far as the store alone can bring it; false if the root key is needed. */
    boolean readFromStore();

    void readWithRootKey();

    /** Called once a read has failed, before the next may begin. */
    void onFailure();
  }

  /** One read under way. */
  private static final class Run {
    private final CompletableFuture<Boolean> end = new CompletableFuture<>();
    private final long startedNanos;
    private volatile boolean slow;

    Run(long startedNanos) {
      this.startedNanos = startedNanos;
    }
  }

  private final KeysetId id;
  private final Background background;
  private final long intervalNanos;
  private final Work work;
  private final AtomicReference<@Nullable Run> underWay = new AtomicReference<>();
  private volatile boolean failing;
  private volatile boolean doubtful;
  private volatile long failedNanos;
  private volatile boolean closed;

  BackgroundRefresh(KeysetId id, Background background, long intervalNanos, Work work) {
    this.id = id;
    this.background = background;
    this.intervalNanos = intervalNanos;
    this.work = work;
  }

  /** Starts a read unless one is under way. */
  void start() {
    startOrJoin();
  }

  /** Starts a read, or joins the one under way, and waits for its end if that makes sense. */
  void startAndWait() {
    Run run = startOrJoin();
    await(run);
    if (run != null && background.nanoClock().getAsLong() - run.startedNanos >= 2 * intervalNanos) {
      await(startOrJoin()); // the first had begun so long ago that it may have read what was before
    }
  }

  private void await(@Nullable Run run) {
    if (run == null || run.slow || hasJustFailed()) {
      return;
    }
    try {
      run.end.get(Math.min(intervalNanos, MAX_PATIENCE_NANOS), TimeUnit.NANOSECONDS);
    } catch (TimeoutException e) {
      if (!run.slow) {
        run.slow = true;
        LOG.warn("the store is slow to give keyset {}; what is known of it serves meanwhile", id);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (ExecutionException e) {
      throw new AssertionError("a refresh keeps its failures to itself", e);
    }
  }

  private boolean hasJustFailed() {
    LongSupplier clock = background.nanoClock();
    return failing && clock.getAsLong() - failedNanos < 2 * intervalNanos;
  }

  private @Nullable Run startOrJoin() {
    Run current = underWay.get();
    if (current != null) {
      return current;
    }
    Run mine = new Run(background.nanoClock().getAsLong());
    StackRoom.require();
    Run other = underWay.compareAndExchange(null, mine);
    if (other != null) {
      return other;
    }
    return submit(background.refresher(), mine, () -> readFromStore(mine)) ? mine : null;
  }

  /** Whatever happens, an Error included, a run that nobody works on does not stay under way. */
  private boolean submit(Executor executor, Run run, Runnable part) {
    boolean submitted = false;
    try {
      AtomicBoolean begun = new AtomicBoolean();
      executor.execute(() -> work(run, part, begun));
      submitted = true;
    } catch (RejectedExecutionException e) {
      LOG.debug("no thread to refresh keyset {}", id, e);
    } finally {
      if (!submitted) {
        end(run);
      }
    }
    return submitted;
  }

  private void work(Run run, Runnable part, AtomicBoolean begun) {
    try {
      Announcer.untilOver(
          () -> {
            begun.set(true);
            part.run();
            return run;
          });
    } finally {
      if (!begun.get()) { // else the part ends it
        end(run);
      }
    }
  }

  private void readFromStore(Run run) {
    boolean goesOn = false;
    try {
      if (work.readFromStore()) {
        succeeded();
      } else {
        goesOn = true;
      }
    } catch (RuntimeException e) {
      failed(e);
    } finally {
      if (!goesOn) {
        end(run);
      }
    }
    if (goesOn) {
      submit(background.renewer(), run, () -> readWithRootKey(run));
    }
  }

  private void readWithRootKey(Run run) {
    try {
      work.readWithRootKey();
      succeeded();
    } catch (RuntimeException e) {
      failed(e);
    } finally {
      end(run);
    }
  }

  private void end(Run run) {
    underWay.compareAndSet(run, null);
    run.end.complete(true);
  }

  private void succeeded() {
    if (failing) {
      failing = false;
      doubtful = false;
      LOG.info("keyset {} is refreshed again", id);
    }
  }

  private void failed(RuntimeException e) {
    work.onFailure();
    failedNanos = background.nanoClock().getAsLong();
    // Once per outage, and once more if it ends encryption: a refresh is tried twice a second while
    // the keyset is in use.
    boolean doubt = OpenKeyset.isDoubt(e);
    if ((!failing || (doubt && !doubtful)) && !closed) {
      failing = true;
      doubtful = doubt;
      LOG.warn(
          "keyset {} cannot be refreshed; {} until its hard time to live",
          id,
          doubt ? "it decrypts, and nothing else," : "what is known of it serves",
          e);
    }
  }

  /** No more is said of failures: they are what closing causes. */
  void close() {
    closed = true;
  }
}
