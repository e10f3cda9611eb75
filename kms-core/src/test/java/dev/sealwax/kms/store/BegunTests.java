package dev.sealwax.kms.store;

import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.DynamicTest;

/** Dynamic tests that run beside others; JUnit waits for the end of each. */
final class BegunTests implements AutoCloseable {
  private final ExecutorService threads;

  BegunTests(int atOnce) {
    this.threads = Executors.newFixedThreadPool(atOnce);
  }

  /** What a test does. */
  interface Case {
    void run() throws Exception;
  }

  /** A test that has begun, or will when there is a thread for it. */
  DynamicTest begin(String name, Case test) {
    Future<?> end =
        threads.submit(
            () -> {
              test.run();
              return null;
            });
    return DynamicTest.dynamicTest(
        name,
        () -> {
          try {
            end.get();
          } catch (ExecutionException e) {
            throw e.getCause();
          }
        });
  }

  @Override
  public void close() {
    threads.shutdownNow();
  }
}
