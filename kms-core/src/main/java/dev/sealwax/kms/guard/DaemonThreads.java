package dev.sealwax.kms.guard;

import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/** Threads of ours on which root keys, stores and listeners are called; they keep no JVM alive. */
public final class DaemonThreads {
  private static final long IDLE_SECONDS = 10;

  private DaemonThreads() {}

  /**
   * Makes threads that have the context class loader of whoever makes the factory, who owns them,
   * and nothing of whoever happens to be the first to need one: they may outlive that one's
   * request, and its application in a container.
   */
  public static ThreadFactory factory(String name) {
    ClassLoader ofOwner = Thread.currentThread().getContextClassLoader();
    return work -> {
      Thread thread = new Thread(null, work, name, 0, /* inheritThreadLocals= */ false);
      thread.setContextClassLoader(ofOwner);
      thread.setDaemon(true);
      return thread;
    };
  }

  /** A pool of threads for calls that their callers can leave; they end when idle for a while. */
  public static ThreadPoolExecutor pool(String name, int threads, int mostWaiting) {
    ThreadPoolExecutor pool =
        new ThreadPoolExecutor(
            threads,
            threads,
            IDLE_SECONDS,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(mostWaiting),
            factory(name));
    pool.allowCoreThreadTimeOut(true);
    return pool;
  }
}
