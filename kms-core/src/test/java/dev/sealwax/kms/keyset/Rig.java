package dev.sealwax.kms.keyset;

import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KmsEvent;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;

/** A store, a root key, manual time and any number of "processes" over them. */
final class Rig implements AutoCloseable {
  static final Duration REFRESH = Duration.ofMillis(500);
  static final Duration SOFT = Duration.ofMinutes(5);
  static final Duration HARD = Duration.ofHours(1);

  final ScriptedStore store = new ScriptedStore();
  final ScriptedRootKey root = new ScriptedRootKey("test:one");
  final ManualTime time = new ManualTime();
  final Queue<Runnable> background = new ConcurrentLinkedQueue<>();
  final Queue<KmsEvent> events = new ConcurrentLinkedQueue<>();
  private final Queue<OpenKeysets> processes = new ArrayDeque<>();
  final OpenKeysets process = process();
  final Keysets keysets = process.keysets();

  OpenKeysets process() {
    return process(root, CachePolicy.of(SOFT, HARD, 1000));
  }

  OpenKeysets process(RootKey rootKey, CachePolicy policy) {
    OpenKeysets opened =
        OpenKeysets.open(
            store,
            rootKey,
            policy,
            REFRESH,
            time,
            new Background(time, background::add, background::add, task -> {}),
            new SecureRandom(),
            events::add);
    processes.add(opened);
    return opened;
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

  static byte[] wrap(OpenKeyset keyset, int version) {
    return keyset.withKeyEncryptionKey(
        keyset.snapshot(version), version, kek -> kek.wrap(new byte[32]));
  }

  static byte[] unwrap(OpenKeyset keyset, int version, byte[] wrapped) {
    return keyset.withKeyEncryptionKey(
        keyset.snapshot(version), version, kek -> kek.unwrap(wrapped, 0));
  }

  @Override
  public void close() {
    processes.forEach(OpenKeysets::close);
  }
}
