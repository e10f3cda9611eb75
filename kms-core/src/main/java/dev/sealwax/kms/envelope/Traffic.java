package dev.sealwax.kms.envelope;

import java.util.concurrent.atomic.LongAdder;

/** Counts what the ciphers of one process have done. Safe for concurrent use. */
final class Traffic {
  final LongAdder encrypted = new LongAdder();
  final LongAdder encryptedBytes = new LongAdder();
  final LongAdder decrypted = new LongAdder();
  final LongAdder decryptedBytes = new LongAdder();
  final LongAdder rewrapped = new LongAdder();
  final LongAdder failures = new LongAdder();

  void encrypted(long bytes) {
    encrypted.increment();
    encryptedBytes.add(bytes);
  }

  void decrypted(long bytes) {
    decrypted.increment();
    decryptedBytes.add(bytes);
  }
}
