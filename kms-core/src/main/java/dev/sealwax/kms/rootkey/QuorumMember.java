package dev.sealwax.kms.rootkey;

import dev.sealwax.kms.rootkey.Answers.Answer;
import dev.sealwax.kms.vocabulary.RootKeyException;
import dev.sealwax.kms.vocabulary.RootKeyException.Reason;
import java.time.Duration;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
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

  private static final int THREADS = 16;
  private static final long THREAD_IDLE_SECONDS = 10;
  private static final int MOST_WAITING = 1024;

  private final RootKey rootKey;
  private final Set<String> tags;
  private final LongSupplier nanoClock;
  private final ThreadPoolExecutor threads;
  private final LongAdder calls = new LongAdder();
  private final LongAdder failures = new LongAdder();
  private volatile @Nullable Reason lastFailure;
  private volatile boolean suspect;
  private volatile long suspectSince;

  QuorumMember(RootKey rootKey, Set<String> tags, LongSupplier nanoClock) {
    this.rootKey = rootKey;
    this.tags = tags;
    this.nanoClock = nanoClock;
    this.threads =
        new ThreadPoolExecutor(
            THREADS,
            THREADS,
            THREAD_IDLE_SECONDS,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(MOST_WAITING),
            QuorumMember::daemon);
    threads.allowCoreThreadTimeOut(true);
  }

  private static Thread daemon(Runnable work) {
    Thread thread = new Thread(work, "sealwax-quorum");
    thread.setDaemon(true);
    return thread;
  }

  RootKey rootKey() {
    return rootKey;
  }

  RootKeyId id() {
    return rootKey.currentKeyId();
  }

  Set<String> tags() {
    return tags;
  }

  /** Whether it lately did not answer, or is out of order. */
  boolean isSuspect() {
    return suspect && nanoClock.getAsLong() - suspectSince < SUSPECT_FOR.toNanos();
  }

  /** It has not answered when somebody needed it. */
  void wasLate() {
    failures.increment();
    suspect(Reason.UNAVAILABLE);
  }

  private void suspect(Reason reason) {
    lastFailure = reason;
    suspectSince = nanoClock.getAsLong();
    suspect = true;
  }

  /**
   * Makes a call on one of its threads; one that has not begun when the answers are closed never
   * does.
   *
   * @param end releases what the call works on, once it has ended or will never begin
   * @throws IllegalStateException if it is closed
   */
  <Q, T> void ask(Answers<Q, T> answers, Q question, Supplier<T> call, Runnable end) {
    Runnable task =
        () -> {
          try {
            if (!answers.isClosed()) {
              answer(answers, question, call);
            }
          } finally {
            end.run();
          }
        };
    try {
      threads.execute(task);
      answers.atTheEnd(
          () -> {
            if (threads.remove(task)) {
              end.run();
            }
          });
    } catch (RejectedExecutionException e) {
      end.run();
      if (threads.isShutdown()) {
        throw new IllegalStateException("quorum is closed", e);
      }
      failed(Reason.UNAVAILABLE);
      answers.add(
          new Answer<>(
              question,
              null,
              new RootKeyException(
                  Reason.UNAVAILABLE, "too many calls wait for " + id() + ", which hangs")));
    }
  }

  private <Q, T> void answer(Answers<Q, T> answers, Q question, Supplier<T> call) {
    calls.increment();
    try {
      T value = call.get();
      suspect = false;
      answers.add(new Answer<>(question, value, null));
    } catch (RootKeyException e) {
      failed(e.reason());
      answers.add(new Answer<>(question, null, e));
    } catch (RuntimeException | Error e) {
      failed(Reason.INTERNAL);
      answers.add(new Answer<>(question, null, e));
    }
  }

  private void failed(Reason reason) {
    failures.increment();
    if (reason.isRetryable()) {
      suspect(reason);
    } else {
      lastFailure = reason;
      suspect = false;
    }
  }

  QuorumRootKey.MemberHealth health() {
    return new QuorumRootKey.MemberHealth(
        id(), tags, isSuspect(), calls.sum(), failures.sum(), Optional.ofNullable(lastFailure));
  }

  @Override
  public void close() {
    threads.shutdown();
    rootKey.close();
  }
}
