package dev.sealwax.kms.rootkey;

import dev.sealwax.kms.guard.DaemonThreads;
import dev.sealwax.kms.rootkey.Answers.Answer;
import dev.sealwax.kms.vocabulary.RootKeyException;
import dev.sealwax.kms.vocabulary.RootKeyException.Reason;
import java.time.Duration;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * One root key of a quorum, with threads of its own, so that one that hangs holds up no other, and
 * with what is known of how it does. Owns the root key. Safe for any thread.
 */
final class QuorumMember implements AutoCloseable {
  /** How long after an outage it is asked last, unless it answers before. */
  static final Duration SUSPECT_FOR = Duration.ofSeconds(10);

  private static final int THREADS = 64;
  private static final int MOST_WAITING = 1024;

  private final RootKey rootKey;
  // As it was when the quorum was built; the id of the quorum comes from it.
  private final RootKeyId id;
  private final Set<String> tags;
  private final LongSupplier nanoClock;
  private final ThreadPoolExecutor threads;
  private final LongAdder calls = new LongAdder();
  private final LongAdder failures = new LongAdder();
  private volatile @Nullable Reason lastFailure;
  private volatile boolean suspect;
  private final AtomicLong suspectSince = new AtomicLong();
  // Calls that nobody waits for any more, and that have not ended.
  private final Set<Asked> left = ConcurrentHashMap.newKeySet();
  private volatile @Nullable Asked lastGood;

  /** A call that was asked for. */
  static final class Asked {
    private volatile boolean begun;
    private volatile long begunNanos;
    private volatile boolean ended;
    // How long it may take now that nobody waits for it any more.
    private volatile long leftNanos = Long.MAX_VALUE;
    private final AtomicBoolean judged = new AtomicBoolean();

    private void begin() {
      begunNanos = System.nanoTime();
      begun = true;
    }

    /** Whether it was left, and the root key itself has had too much time for it. */
    private boolean isLate() {
      return begun && System.nanoTime() - begunNanos >= leftNanos;
    }

    private boolean beganBefore(@Nullable Asked other) {
      return other != null && begunNanos - other.begunNanos < 0;
    }
  }

  QuorumMember(RootKey rootKey, Set<String> tags, LongSupplier nanoClock) {
    this.rootKey = rootKey;
    this.id = rootKey.currentKeyId();
    this.tags = tags;
    this.nanoClock = nanoClock;
    this.threads = DaemonThreads.pool("sealwax-quorum", THREADS, MOST_WAITING);
  }

  RootKey rootKey() {
    return rootKey;
  }

  RootKeyId id() {
    return id;
  }

  Set<String> tags() {
    return tags;
  }

  /**
   * Whether it is to be asked after the others, because it was down or slow lately. Once in a while
   * one caller is told otherwise, and finds out if it is back.
   */
  boolean isLast() {
    judgeThoseLeft();
    if (!suspect) {
      return false;
    }
    long since = suspectSince.get();
    long now = nanoClock.getAsLong();
    return now - since < SUSPECT_FOR.toNanos() || !suspectSince.compareAndSet(since, now);
  }

  /**
   * Waits no longer for an answer. It is held against the root key as soon as it has had {@code
   * nanos} for it, whether an answer comes at last or never.
   */
  void leave(Asked asked, long nanos) {
    asked.leftNanos = nanos;
    left.add(asked);
    if (asked.ended) {
      left.remove(asked);
    }
    judgeThoseLeft();
  }

  private void judgeThoseLeft() {
    for (Asked asked : left) {
      if (asked.isLate()) {
        judge(asked, Reason.UNAVAILABLE);
      }
    }
    left.removeIf(asked -> asked.judged.get());
  }

  /** Draws the conclusion from a call, once: it has failed, or is late, or was good. */
  private void judge(Asked asked, @Nullable Reason failure) {
    if (!asked.judged.compareAndSet(false, true)) {
      return;
    }
    boolean late = asked.isLate();
    if (failure == null && !late) {
      lastGood = asked;
      suspect = false;
      return;
    }
    Reason reason = failure == null ? Reason.UNAVAILABLE : failure;
    failures.increment();
    lastFailure = reason;
    if (late && asked.beganBefore(lastGood)) {
      return; // it says nothing of how the root key does now
    }
    if (late || reason.isRetryable()) {
      suspectSince.set(nanoClock.getAsLong());
      suspect = true;
    } else {
      suspect = false;
    }
  }

  private void end(Asked asked) {
    asked.ended = true;
    left.remove(asked);
  }

  /**
   * Makes a call on one of its threads; one that has not begun when the answers are closed never
   * does.
   *
   * @param end releases what the call works on, once it has ended or will never begin
   * @throws IllegalStateException if it is closed
   */
  <Q, T> Asked ask(Answers<Q, T> answers, Q question, Supplier<T> call, Runnable end) {
    Asked asked = new Asked();
    Runnable task =
        () -> {
          try {
            if (!answers.isClosed()) {
              asked.begin();
              answer(answers, question, asked, call);
            }
          } finally {
            end(asked);
            end.run();
          }
        };
    boolean handedOver = false;
    try {
      threads.execute(task);
      handedOver = true;
      answers.atTheEnd(
          () -> {
            if (threads.remove(task)) {
              end(asked);
              end.run();
            }
          });
    } catch (RejectedExecutionException e) {
      if (threads.isShutdown()) {
        throw new IllegalStateException("quorum is closed", e);
      }
      answers.add(
          new Answer<>(
              question,
              null,
              new RootKeyException(
                  Reason.UNAVAILABLE, MOST_WAITING + " calls wait for " + id + " already")));
    } finally {
      if (!handedOver) {
        end(asked);
        end.run();
      }
    }
    return asked;
  }

  private <Q, T> void answer(Answers<Q, T> answers, Q question, Asked asked, Supplier<T> call) {
    calls.increment();
    try {
      T value = call.get();
      judge(asked, null);
      answers.add(new Answer<>(question, value, null));
    } catch (RootKeyException e) {
      judge(asked, e.reason());
      answers.add(new Answer<>(question, null, e));
    } catch (RuntimeException | Error e) {
      judge(asked, Reason.INTERNAL);
      answers.add(new Answer<>(question, null, e));
    }
  }

  QuorumRootKey.MemberHealth health() {
    judgeThoseLeft();
    boolean isSuspect =
        suspect && nanoClock.getAsLong() - suspectSince.get() < SUSPECT_FOR.toNanos();
    return new QuorumRootKey.MemberHealth(
        id, tags, isSuspect, calls.sum(), failures.sum(), Optional.ofNullable(lastFailure));
  }

  @Override
  public void close() {
    threads.shutdown();
    rootKey.close();
  }
}
