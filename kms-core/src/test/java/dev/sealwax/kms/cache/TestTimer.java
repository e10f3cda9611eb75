package dev.sealwax.kms.cache;

import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledThreadPoolExecutor;

/** The timer of all tests that need one for a cache. */
public final class TestTimer {
  public static final ScheduledExecutorService SHARED = shared();

  private TestTimer() {}

  private static ScheduledExecutorService shared() {
    ScheduledThreadPoolExecutor timer =
        new ScheduledThreadPoolExecutor(
            1,
            task -> {
              Thread thread = new Thread(task, "test-timer");
              thread.setDaemon(true);
              return thread;
            });
    timer.setRemoveOnCancelPolicy(true);
    return timer;
  }
}
