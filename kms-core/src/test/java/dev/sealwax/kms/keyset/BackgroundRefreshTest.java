package dev.sealwax.kms.keyset;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.cache.StackDive;
import dev.sealwax.kms.cache.TestTimer;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import dev.sealwax.kms.vocabulary.KeysetStoreException.Reason;
import dev.sealwax.kms.vocabulary.KmsException;
import java.time.Duration;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
final class BackgroundRefreshTest {
  private final AtomicInteger reads = new AtomicInteger();
  private final AtomicInteger readsWithRootKey = new AtomicInteger();
  private volatile boolean needsRootKey;
  private volatile boolean refusesWork;
  private final ExecutorService threads = Executors.newSingleThreadExecutor();

  @AfterEach
  void close() {
    threads.shutdownNow();
  }

  private void submit(Runnable task) {
    if (refusesWork) {
      throw new RejectedExecutionException();
    }
    threads.execute(task);
  }

  private BackgroundRefresh refresh() {
    return new BackgroundRefresh(
        KeysetId.of("orders"),
        new Background(() -> 0, this::submit, this::submit, threads, TestTimer.SHARED),
        Duration.ofMillis(500).toNanos(),
        new BackgroundRefresh.Work() {
          @Override
          public boolean readFromStore() {
            reads.incrementAndGet();
            return !needsRootKey;
          }

          @Override
          public void readWithRootKey() {
            readsWithRootKey.incrementAndGet();
          }

          @Override
          public void onFailure() {
            throw new AssertionError();
          }
        });
  }

  /** Else a revocation by another process would be seen at the hard time to live only. */
  @Test
  void start_whereverTheStackEnds_isNotTheLast() {
    for (int i = 0; i < 100; i++) {
      BackgroundRefresh refresh = refresh();
      // Most find the read of another under way: it is the claim that the stack ends after.
      StackDive.atEveryDepth(refresh::start);
      int before = reads.get();
      startUntil(refresh, () -> reads.get() > before + 1);
    }
  }

  @Test
  void failures_areWarnedOfOnceAndOnceMoreWhenEncryptionEnds() {
    String outage = "what is known of it serves";
    String refusal = "it decrypts, and nothing else";
    AtomicReference<@Nullable KmsException> failure = new AtomicReference<>();
    BackgroundRefresh refresh =
        new BackgroundRefresh(
            KeysetId.of("orders"),
            new Background(() -> 0, Runnable::run, Runnable::run, threads, TestTimer.SHARED),
            Duration.ofMillis(500).toNanos(),
            new BackgroundRefresh.Work() {
              @Override
              public boolean readFromStore() {
                KmsException thrown = failure.get();
                if (thrown != null) {
                  throw thrown;
                }
                return true;
              }

              @Override
              public void readWithRootKey() {
                throw new AssertionError();
              }

              @Override
              public void onFailure() {}
            });
    KmsException away = new KeysetStoreException(Reason.UNAVAILABLE, "away", null);
    KmsException gone = new KeysetStoreException(Reason.NOT_FOUND, "gone", null);

    failure.set(away);
    assertTrue(Logged.during(refresh::start).contains(outage));
    assertFalse(Logged.during(refresh::start).contains("cannot be refreshed"));
    failure.set(gone);
    assertTrue(Logged.during(refresh::start).contains(refusal));
    assertFalse(Logged.during(refresh::start).contains("cannot be refreshed"));
    failure.set(null);
    refresh.start();
    failure.set(gone);
    assertTrue(Logged.during(refresh::start).contains(refusal));
  }

  private static void startUntil(BackgroundRefresh refresh, BooleanSupplier done) {
    long end = System.nanoTime() + Duration.ofSeconds(10).toNanos();
    while (!done.getAsBoolean()) {
      assertTrue(System.nanoTime() < end, "a read that nobody works on is under way");
      refresh.start();
    }
  }

  @Test
  void start_whenNoThreadIsLeft_isNotTheLast() {
    BackgroundRefresh refresh = refresh();
    refusesWork = true;
    refresh.start();
    refusesWork = false;
    startUntil(refresh, () -> reads.get() > 0);
  }

  @Test
  void start_whenTheRootKeyWasAsked_isNotTheLast() {
    BackgroundRefresh refresh = refresh();
    needsRootKey = true;
    startUntil(refresh, () -> readsWithRootKey.get() > 0);
    startUntil(refresh, () -> readsWithRootKey.get() > 1);
  }
}
