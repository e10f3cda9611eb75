package dev.sealwax.kms.keyset;

import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.cache.TestTimer;
import dev.sealwax.kms.crypto.ChunkedKey;
import dev.sealwax.kms.crypto.UsageBudget;
import dev.sealwax.kms.crypto.UsageMeter;
import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KmsEvent;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.RejectedExecutionException;

/** A store, a root key, manual time and any number of "processes" over them. */
final class Rig implements AutoCloseable {
  static final Duration REFRESH = Duration.ofMillis(500);
  static final Duration SOFT = Duration.ofMinutes(5);
  static final Duration HARD = Duration.ofHours(1);

  final ScriptedStore store = new ScriptedStore();
  final ScriptedRootKey root = new ScriptedRootKey("test:one");
  final ManualTime time = new ManualTime();
  final Queue<Runnable> background = new ConcurrentLinkedQueue<>();
  volatile boolean refusesWork;
  final Queue<KmsEvent> events = new ConcurrentLinkedQueue<>();
  private final Queue<OpenKeysets> processes = new ArrayDeque<>();
  final OpenKeysets process = process();
  final Keysets keysets = process.keysets();

  OpenKeysets process() {
    return process(root, CachePolicy.of(SOFT, HARD, 1000));
  }

  /** A process on a machine with another clock. */
  OpenKeysets process(Clock clock) {
    return process(root, CachePolicy.of(SOFT, HARD, 1000), clock);
  }

  OpenKeysets process(RootKey rootKey, CachePolicy policy) {
    return process(rootKey, policy, time);
  }

  private OpenKeysets process(RootKey rootKey, CachePolicy policy, Clock clock) {
    OpenKeysets opened =
        OpenKeysets.open(
            store,
            rootKey,
            policy,
            REFRESH,
            clock,
            new Background(time, this::submit, this::submit, task -> {}, TestTimer.SHARED),
            new SecureRandom(),
            events::add);
    processes.add(opened);
    return opened;
  }

  private void submit(Runnable task) {
    if (refusesWork) {
      refuse(20);
    }
    background.add(task);
  }

  /** From as deep as a pool may be: there a stack ends, if it does. */
  private static void refuse(int frames) {
    if (frames > 0) {
      refuse(frames - 1);
    } else {
      throw new Refusal();
    }
  }

  /** Without its stack, which is deep: to note it would take most of the time of a test. */
  private static final class Refusal extends RejectedExecutionException {
    private static final long serialVersionUID = 1L;

    @Override
    public Throwable fillInStackTrace() {
      return this;
    }
  }

  OpenKeyset open(String name) {
    return process.open(KeysetId.of(name));
  }

  /** Runs what waits for the background executor; returns how much that was. */
  int runBackground() {
    int count = 0;
    for (Runnable task = background.poll(); task != null; task = background.poll()) {
      task.run();
      count++;
    }
    return count;
  }

  /** What the cipher of a data key does with its budget. */
  static void encrypt(UsageMeter meter, int messages, int bytesEach) {
    try (ChunkedKey key =
        new ChunkedKey(new byte[32], new UsageBudget(messages, Long.MAX_VALUE, meter))) {
      for (int i = 0; i < messages; i++) {
        assertTrue(key.charge(bytesEach));
      }
    }
  }

  static byte[] wrap(OpenKeyset keyset, int version) {
    return keyset.withKeyEncryptionKey(
        keyset.snapshot(version),
        version,
        KeyUse.DECRYPT,
        (kek, consent) -> kek.wrap(new byte[32]));
  }

  static byte[] unwrap(OpenKeyset keyset, int version, byte[] wrapped) {
    return keyset.withKeyEncryptionKey(
        keyset.snapshot(version),
        version,
        KeyUse.DECRYPT,
        (kek, consent) -> kek.unwrap(wrapped, 0));
  }

  @Override
  public void close() {
    processes.forEach(OpenKeysets::close);
  }
}
