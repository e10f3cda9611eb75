package dev.sealwax.kms.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Where the platform tells of writes: Linux. */
@Timeout(60)
final class DirectoryWatchTest {
  private static final Duration PAUSE = Duration.ofMillis(20);
  private static final Duration WHILE = Duration.ofMillis(300);
  private static final Duration LONG = Duration.ofMinutes(10);

  @TempDir private Path parent;
  private Path directory;

  @BeforeEach
  void makeDirectory() throws Exception {
    directory = Files.createDirectory(parent.resolve("keysets"));
  }

  @Test
  void directoryThatCouldNotBeWatched_isWatchedLater() throws Exception {
    Files.delete(directory);
    try (DirectoryWatch watch = new DirectoryWatch(directory, () -> {}, PAUSE)) {
      watch.await(Duration.ZERO);
      Files.createDirectory(directory);
      requireTold(watch);
    }
  }

  @Test
  void directoryThatVanished_isWatchedAgain() throws Exception {
    try (DirectoryWatch watch = new DirectoryWatch(directory, () -> {}, PAUSE)) {
      requireTold(watch);
      Files.delete(directory.resolve("file"));
      Files.delete(directory);
      watch.await(LONG); // ended by the directory's own end
      Files.createDirectory(directory);
      requireTold(watch);
    }
  }

  @Test
  void attempts_keepTheirPause() throws Exception {
    AtomicInteger attempts = new AtomicInteger();
    DirectoryWatch.Same replaced =
        () -> {
          attempts.incrementAndGet();
          throw new NoSuchFileException("another directory");
        };
    try (DirectoryWatch watch = new DirectoryWatch(directory, replaced, LONG)) {
      for (int i = 0; i < 3; i++) {
        watch.await(Duration.ofMillis(1));
      }
      assertEquals(1, attempts.get());
    }
  }

  /** A wait without a watch ends after the pause, and one with it only when it is told. */
  private void requireTold(DirectoryWatch watch) throws Exception {
    long started;
    int waits = 0;
    do {
      started = System.nanoTime();
      watch.await(WHILE);
      waits++;
    } while (System.nanoTime() - started < WHILE.toNanos() && waits < 20);
    assertTrue(waits < 20, "is not watched");
    CompletableFuture<Path> writing =
        CompletableFuture.supplyAsync(
            () -> {
              try {
                return Files.writeString(directory.resolve("file"), "written");
              } catch (java.io.IOException e) {
                throw new AssertionError(e);
              }
            },
            CompletableFuture.delayedExecutor(100, TimeUnit.MILLISECONDS));
    watch.await(LONG);
    writing.get();
  }
}
