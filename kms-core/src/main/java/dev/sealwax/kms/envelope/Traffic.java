package dev.sealwax.kms.envelope;

import dev.sealwax.kms.crypto.Tallies;
import java.util.concurrent.atomic.LongAdder;

/** Counts what the ciphers of one process have done. Safe for concurrent use. */
final class Traffic {
  // Messages of the one-shot suite are counted where they are made, the others here.
  private final Tallies sealed = new Tallies();
  private final Tallies opened = new Tallies();
  private final LongAdder encrypted = new LongAdder();
  private final LongAdder encryptedBytes = new LongAdder();
  private final LongAdder decrypted = new LongAdder();
  private final LongAdder decryptedBytes = new LongAdder();
  final LongAdder rewrapped = new LongAdder();
  final LongAdder failures = new LongAdder();
  final LongAdder abandoned = new LongAdder();

  Tallies sealed() {
    return sealed;
  }

  Tallies opened() {
    return opened;
  }

  /** Counts a message of the chunked suite. */
  void encrypted(long bytes) {
    encrypted.increment();
    encryptedBytes.add(bytes);
  }

  /** Counts a message of the chunked suite. */
  void decrypted(long bytes) {
    decrypted.increment();
    decryptedBytes.add(bytes);
  }

  long encrypted() {
    return sealed.messages() + encrypted.sum();
  }

  long encryptedBytes() {
    return sealed.bytes() + encryptedBytes.sum();
  }

  long decrypted() {
    return opened.messages() + decrypted.sum();
  }

  long decryptedBytes() {
    return opened.bytes() + decryptedBytes.sum();
  }
}
