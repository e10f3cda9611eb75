package dev.sealwax.kms.guard;

import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/** The threads that calls are made on, so that their callers can leave. */
public final class CallThreads {
  private static final long IDLE_SECONDS = 10;

  private CallThreads() {}

  /** A pool of threads that keep no JVM alive and end when they are not needed for a while. */
  public static ThreadPoolExecutor pool(String name, int threads, int mostWaiting) {
    ThreadPoolExecutor pool =
        new ThreadPoolExecutor(
            threads,
            threads,
            IDLE_SECONDS,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(mostWaiting),
            work -> {
              Thread thread = new Thread(work, name);
              thread.setDaemon(true);
              return thread;
            });
    pool.allowCoreThreadTimeOut(true);
    return pool;
  }
}
