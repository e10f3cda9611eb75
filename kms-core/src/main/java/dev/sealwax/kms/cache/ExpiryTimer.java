package dev.sealwax.kms.cache;

import com.github.benmanes.caffeine.cache.Scheduler;
import java.util.concurrent.Executor;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/**
 * Has a cache look for what has expired while nobody uses it. The executor must drop a task that is
 * called off: a cache calls one off whenever it is emptied, by a failed load for one, and a task
 * that went on waiting would cost two kilobytes for every forged envelope. Safe for concurrent use.
 */
final class ExpiryTimer implements Scheduler {
  private final ScheduledExecutorService executor;

  ExpiryTimer(ScheduledExecutorService executor) {
    this.executor = executor;
  }

  @Override
  public Future<?> schedule(Executor cleaner, Runnable command, long delay, TimeUnit unit) {
    if (executor.isShutdown()) {
      return Scheduler.disabledScheduler().schedule(cleaner, command, delay, unit);
    }
    // In two steps, so that the task is done when the cache looks: by the coarse clock it may come
    // too early, and a cache that finds its task not done asks for no other.
    return executor.schedule(() -> executor.execute(() -> cleaner.execute(command)), delay, unit);
  }
}
