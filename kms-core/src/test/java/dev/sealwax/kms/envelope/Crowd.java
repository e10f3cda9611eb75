package dev.sealwax.kms.envelope;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** Many threads that do the same thing, all let go at once. */
final class Crowd {
  /** What each member does; {@code member} counts from 0. */
  interface Work<T> {
    T run(int member) throws Exception;
  }

  private Crowd() {}

  /** The results in the order of the members. The first failure, if any, is thrown. */
  static <T> List<T> of(int size, Work<T> work) throws Exception {
    CountDownLatch start = new CountDownLatch(1);
    List<FutureTask<T>> members = new ArrayList<>();
    for (int i = 0; i < size; i++) {
      int member = i;
      FutureTask<T> task =
          new FutureTask<>(
              () -> {
                start.await();
                return work.run(member);
              });
      members.add(task);
      Thread thread = new Thread(null, task, "crowd-" + i, 256 * 1024);
      thread.setDaemon(true);
      thread.start();
    }
    start.countDown();
    return results(members);
  }

  static <T> List<T> results(List<FutureTask<T>> members) throws Exception {
    List<T> results = new ArrayList<>();
    for (FutureTask<T> task : members) {
      try {
        results.add(task.get(120, TimeUnit.SECONDS));
      } catch (TimeoutException e) {
        throw new AssertionError("a thread of the crowd hangs", e);
      } catch (ExecutionException e) {
        throw new AssertionError("a thread of the crowd failed: " + e.getCause(), e.getCause());
      }
    }
    return results;
  }
}
